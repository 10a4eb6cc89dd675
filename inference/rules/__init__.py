"""The merchandiser's rules where slates are made: expressions, what they match of the catalogue, what they do."""
