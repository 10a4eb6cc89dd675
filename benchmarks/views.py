"""What a shopper of the benchmarks does."""

from time import time
from typing import Any
from uuid import uuid4


def viewed(user: str, item: str) -> dict[str, Any]:
    """A view as a page posts it, now."""
    return {"type": "view", "event_id": uuid4().hex, "user_id": user, "time_ms": int(time() * 1000), "item_id": item}
