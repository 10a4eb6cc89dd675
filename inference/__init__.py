"""Profiles, a catalogue and a bundle in, slates out. Knows no Kafka, no Redis, no HTTP."""
