"""What gives candidates their value."""
