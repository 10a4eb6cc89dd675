"""What proposes candidates: one idea a file."""
