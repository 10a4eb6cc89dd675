"""Where profiles and shared statistics live: Redis and memory, behind one protocol each."""
