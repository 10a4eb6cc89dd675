"""What a shop's front end calls: the HTTP API, on the stream's own topics, profiles and engine."""
