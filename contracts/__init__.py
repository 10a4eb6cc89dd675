"""What two rooms must agree on: events, messages, topics, profiles, features, bundles, settings, errors, metrics."""
