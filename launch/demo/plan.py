"""What a demo is asked to do, and when its shoppers act: drawn beforehand, whatever the answers (an open loop)."""

from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from contracts.events import UserId

DAOGOU = "daogou"
BESTSELLERS = "bestsellers"
CONTROL_SHARE = 5  # one shopper in so many is shown bestsellers


class Plan(Struct, frozen=True, kw_only=True):
    """The demo's options. ``folder`` None: a temporary cluster. ``port`` of the shop page; None: no page."""

    seconds: float = 60.0
    shoppers: int = 200
    rate: float = 50.0
    workers: int = 1
    seed: int = 0
    folder: Path | None = None
    port: int | None = None


class Arrival(NamedTuple):
    """One act that is to come: seconds after the start, and whose it is."""

    due: float
    shopper: int


def arrivals(plan: Plan) -> list[Arrival]:
    """A Poisson stream of acts at ``plan.rate`` a second, each of a shopper drawn at random."""
    rng = np.random.default_rng([plan.seed, 4])
    count = int(rng.poisson(plan.rate * plan.seconds))
    times = np.sort(rng.uniform(0.0, plan.seconds, count))
    who = rng.integers(plan.shoppers, size=count)
    return [Arrival(float(due), int(shopper)) for due, shopper in zip(times, who, strict=True)]


def arm_of(user_id: UserId) -> str:
    """Which home page a shopper sees: by the hash of the id, so for ever the same."""
    control = int.from_bytes(blake2b(user_id.encode(), digest_size=8).digest(), "big") % CONTROL_SHARE == 0
    return BESTSELLERS if control else DAOGOU
