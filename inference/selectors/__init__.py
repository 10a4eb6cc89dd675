"""What orders the slate."""
