"""The regularised bias model of ratings: the mean, plus what is the shopper's way, plus what is the item's worth.

It lies in a regressor's bundle. Shoppers are there by a hash of their id: who is asked about can be found, nobody can
be listed by name.
"""

from hashlib import blake2b

from msgspec import Struct


class Bias(Struct, frozen=True, array_like=True):
    """How far above the mean (below, if negative), for a shopper's hash or an item's id."""

    key: str
    value: float


class Biases(Struct, frozen=True, kw_only=True):
    """``biases.json``. ``low`` and ``high``: the scale's ends. ``residual``: the model's output is added to this one's.

    Where ``residual`` is False the model says the rating itself, and the biases stand here for comparison.
    """

    low: float
    high: float
    residual: bool
    mean: float
    shoppers: tuple[Bias, ...] = ()
    items: tuple[Bias, ...] = ()


class BiasTable:
    """Biases, to be looked up; unknown shoppers and items have none."""

    def __init__(self, biases: Biases) -> None:
        self.mean = biases.mean
        self._shoppers = {bias.key: bias.value for bias in biases.shoppers}
        self._items = {bias.key: bias.value for bias in biases.items}

    def rating(self, user_id: str | None, item_id: str) -> float:
        """Mean, shopper and item. ``user_id`` None: a shopper that nothing may be known of."""
        own = 0.0 if user_id is None else self._shoppers.get(shopper_key(user_id), 0.0)
        return self.mean + own + self._items.get(item_id, 0.0)


def shopper_key(user_id: str) -> str:
    """What stands for a shopper in a bundle."""
    return blake2b(user_id.encode(), digest_size=8).hexdigest()
