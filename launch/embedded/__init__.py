"""The real Apache Kafka and the real Valkey on loopback, as children of this process: for demo, development, tests."""

from launch.embedded.cluster import Cluster

__all__ = ["Cluster"]
