"""A tiny model really trained and really exported, once for the whole run: for parity and end-to-end tests."""

from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from contracts.bundle import Bundle
from contracts.precision import Precision
from launch.shop.files import write_shop
from launch.shop.shop import Shop

VARIANTS = (Precision.FP16, Precision.INT8)


class Trained(NamedTuple):
    """A shop's files, the checkpoint trained on them, the bundle exported from it."""

    shop: Shop
    events: Path
    items: Path
    checkpoint: Path
    bundle: Bundle


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """About twenty seconds, once."""
    from export.export import export_bundle
    from training.config import PRESETS
    from training.log import read_log
    from training.train import train

    folder = tmp_path_factory.mktemp("trained")
    shop = Shop.make(0)
    write_shop(folder, shop, seed=77, shoppers=60, days=6)
    events, items = folder / "events.jsonl.gz", folder / "items.jsonl.gz"
    plan = msgspec.structs.replace(PRESETS["tiny"], epochs=1)
    train(read_log(events, items), folder / "checkpoint", plan, lambda _: None)
    bundle = export_bundle(folder / "checkpoint", folder / "bundle", "tiny", variants=VARIANTS, keep_slow=True)
    return Trained(shop, events, items, folder / "checkpoint", bundle)
