"""Where profiles and statistics lie between two events: Redis (or Valkey), or memory. One suite tests both."""

from streams.store.protocol import Changes, Followers, ProfileKey, ProfileStore, StatisticsStore, Weighted, Write
from streams.store.redis import open_statistics, open_store

__all__ = [
    "Changes", "Followers", "ProfileKey", "ProfileStore", "StatisticsStore", "Weighted", "Write", "open_statistics",
    "open_store",
]  # fmt: skip
