"""Kafka in, Redis state, Kafka out."""
