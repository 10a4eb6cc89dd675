"""The running loop and PyTorch offline: the same profiles, the same features, the same scores."""

import numpy as np
import torch
from safetensors.torch import load_file

from contracts.events import CartAdd, Click, ItemId, Purchase, UserId, View
from contracts.features import candidate_features, histories, ranker_inputs
from contracts.messages import Slate
from contracts.settings import Settings, load_settings
from export.export import load_ranker
from streams.names import partition_of
from streams.store import ProfileKey, open_store
from tests.e2e.conftest import Live, live
from tests.trained import Trained
from training.config import RANKER_WEIGHTS, load_checkpoint, load_item_ids

TOLERANCE = 1e-3


async def test_scores_are_those_of_pytorch(shop: Settings, trained: Trained) -> None:
    # the shared counts stand still, so that both sides read the same
    still = load_settings(
        kafka=shop.kafka.model_dump(), redis=shop.redis.model_dump(),
        stream=shop.stream.model_dump() | {"statistics_interval": 3600.0},
    )  # fmt: skip
    ids = [item.item_id for item in trained.shop.items]
    async with live(still, trained.bundle) as shopper:
        await shopper.put(*trained.shop.items)
        await shopper.embedded(len(ids))
        slates = []
        for number in range(6):
            user = f"u{number}"
            await shopper.do(Click, user, item_id=ids[number * 31])
            await shopper.do(View, user, item_id=ids[number * 31 + 2])
            await shopper.do(CartAdd, user, item_id=ids[number * 31 + 2])
            await shopper.do(Purchase, user, lines=({"item_id": ids[number * 31 + 2]},))
            slates.append(await shopper.do(Click, user, item_id=ids[number * 17 + 5]))
        worst = max([await difference(shopper, slate, trained) for slate in slates])
    assert worst < TOLERANCE, worst


async def difference(shopper: Live, slate: Slate, trained: Trained) -> float:
    """The greatest difference of a slate's scores to PyTorch's, from the profile in the store."""
    settings, table = shopper.settings, shopper.engine.table
    store = open_store(settings)
    user = UserId(slate.user_id)
    (profile,) = await store.load([ProfileKey(partition_of(user.encode(), settings.kafka.partitions), user)])
    await store.close()
    assert profile is not None
    assert profile.version == slate.profile_version
    now = np.array([slate.trigger.time_ms])
    rows = table.rows([ItemId(item.item_id) for item in slate.items])[None, :]
    checkpoint = load_checkpoint(trained.checkpoint)
    history = histories(table, [profile], now, checkpoint.plan.ranker.history_limit)
    features = candidate_features(table, shopper.engine.statistics, [profile], now, rows)
    inputs = ranker_inputs(table, history, rows, features)
    with torch.no_grad():
        logits = load_ranker(trained.checkpoint, checkpoint)(
            *(torch.from_numpy(np.asarray(v)) for v in inputs.values())
        )
    worth = (settings.engine.click_value, settings.engine.cart_value, settings.engine.purchase_value)
    expected = torch.sigmoid(logits)[0, :, : len(worth)].numpy() @ np.array(worth)
    return float(np.abs(expected - np.array([item.score for item in slate.items])).max())


async def test_served_vectors_are_the_checkpoints(shop: Settings, trained: Trained) -> None:
    """The engine's item vectors: the encoder's (float16 on the way), then the trained deltas."""
    deltas = load_file(trained.checkpoint / RANKER_WEIGHTS)["deltas"].numpy()
    ids = load_item_ids(trained.checkpoint)
    async with live(shop, trained.bundle) as shopper:
        await shopper.put(*trained.shop.items)
        await shopper.embedded(len(ids))
        rows = shopper.engine.table.rows([ItemId(i) for i in ids])
        vectors = shopper.engine.table.vectors[rows]
    dim = trained.bundle.manifest.text_dim
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :dim], axis=1), 1.0, atol=1e-3)
    np.testing.assert_array_equal(vectors[:, dim:], deltas)
