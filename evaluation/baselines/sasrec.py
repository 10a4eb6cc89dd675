"""SASRec (Kang and McAuley, 2018) with full softmax cross-entropy: the neural model of the published tables, plain.

One causal transformer over the last items; every item of the catalogue is scored by its dot product with the last
state. Validation chooses the number of epochs, then it is trained again on all but the test for that number.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from evaluation.baselines.transitions import Validation, validated
from training.telling import Say

Past = NDArray[np.int32]

POOL = 16  # batches that are sorted by length together, so that little of a batch is padding


class Recipe(Struct, frozen=True, kw_only=True):
    """Small enough for one thread. ``patience``: epochs without a better NDCG@10 on validation before it stops."""

    dim: int = 64
    layers: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.3
    batch: int = 128
    rate: float = 3e-3
    epochs: int = 20
    patience: int = 3


class Network(nn.Module):
    """[B, L] items, padded on the right with ``items``, to [B, L, dim] states. Causal, so padding is never read."""

    def __init__(self, items: int, recipe: Recipe) -> None:
        super().__init__()
        self.item = nn.Embedding(items + 1, recipe.dim)
        self.age = nn.Embedding(recipe.length, recipe.dim)
        layer = nn.TransformerEncoderLayer(
            recipe.dim, recipe.heads, recipe.dim, recipe.dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, recipe.layers, nn.LayerNorm(recipe.dim), enable_nested_tensor=False)
        self.dropout = nn.Dropout(recipe.dropout)
        for table in (self.item, self.age):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Places are counted from the newest item back, as padding on the left would number them."""
        width = rows.shape[1]
        ages = (lengths[:, None] - 1 - torch.arange(width)).clamp(min=0)
        mask = nn.Transformer.generate_square_subsequent_mask(width)
        states: Tensor = self.layers(self.dropout(self.item(rows) + self.age(ages)), mask=mask, is_causal=True)
        return states

    def logits(self, states: Tensor) -> Tensor:
        """[..., items]; the padding is no item."""
        return states @ self.item.weight[:-1].T


class SasRec:
    """The trained network as one more model of the table."""

    def __init__(self, network: Network, items: int, recipe: Recipe, epochs: int) -> None:
        self.name, self.epochs = f"SASRec, full softmax, {epochs} epochs", epochs
        self._network, self._items, self._length = network.eval(), items, recipe.length

    def scores(self, pasts: Sequence[Past]) -> NDArray[np.float32]:
        """[B, items]."""
        with torch.inference_mode():
            rows, lengths = _padded([past[-self._length :] for past in pasts], self._items)
            states = self._network(rows, lengths)[torch.arange(len(pasts)), (lengths - 1).clamp(min=0)]
            return np.asarray(self._network.logits(states).numpy(), np.float32)


def fit(
    before: Sequence[Past], pasts: Sequence[Past], items: int, validation: Validation, seed: int, say: Say,
    recipe: Recipe | None = None,
) -> SasRec:  # fmt: skip
    """Choose the epochs on ``validation`` having trained on ``before``, then train on ``pasts`` for that many."""
    recipe, best, best_value = recipe or Recipe(), 0, -1.0
    for epoch, network in enumerate(_epochs(before, items, recipe, seed), start=1):
        value = validated(SasRec(network, items, recipe, epoch), validation)
        say(f"SASRec, epoch {epoch}: validation NDCG@10 {value:.4f}")
        if value > best_value:
            best, best_value = epoch, value
        if epoch - best >= recipe.patience or epoch == recipe.epochs:
            break
    for epoch, network in enumerate(_epochs(pasts, items, recipe, seed), start=1):
        if epoch == best:
            return SasRec(network, items, recipe, best)
    raise AssertionError("epochs do not end")


def _epochs(pasts: Sequence[Past], items: int, recipe: Recipe, seed: int) -> Iterator[Network]:
    """The network after each epoch, without end; the same seed gives the same network."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network(items, recipe)
    tails = [past[-recipe.length - 1 :] for past in pasts if len(past) > 1]
    optimizer, draw = torch.optim.Adam(network.parameters(), lr=recipe.rate), np.random.default_rng(seed)
    while True:
        with torch.random.fork_rng():
            torch.manual_seed(int(draw.integers(2**31)))
            _epoch(network, optimizer, _shuffled(tails, recipe.batch, draw), items)
        yield network


def _epoch(network: Network, optimizer: torch.optim.Optimizer, groups: Sequence[list[Past]], items: int) -> None:
    network.train()
    for group in groups:
        rows, lengths = _padded([tail[:-1] for tail in group], items)
        wanted, _ = _padded([tail[1:] for tail in group], items)
        real = wanted < items
        loss = functional.cross_entropy(network.logits(network(rows, lengths)[real]), wanted[real])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _shuffled(tails: Sequence[Past], batch: int, draw: np.random.Generator) -> list[list[Past]]:
    """Batches in random order, each of shoppers with about as many items."""
    order = [tails[i] for i in draw.permutation(len(tails))]
    pools = [sorted(order[i : i + POOL * batch], key=len) for i in range(0, len(order), POOL * batch)]
    groups = [pool[i : i + batch] for pool in pools for i in range(0, len(pool), batch)]
    return [groups[i] for i in draw.permutation(len(groups))]


def _padded(rows: Sequence[Past], padding: int) -> tuple[Tensor, Tensor]:
    """[B, L >= 1] with ``padding`` on the right, and [B] lengths."""
    lengths = torch.tensor([len(row) for row in rows])
    padded = torch.full((len(rows), max(1, int(lengths.max()))), padding)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = torch.from_numpy(row.astype(np.int64))
    return padded, lengths
