"""What takes candidates out: one idea a file."""
