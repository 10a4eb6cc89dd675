"""The ranker: one forward encodes a history and scores all its candidates, each isolated from the others.

A history token is the item's vector, the kind of event, the time since, and the place from the end. History attends
to itself causally. A candidate attends to the history alone, never to another candidate: its score does not depend on
who else is in the list. The history begins with a place for "nothing", so that who has none, or who finds nothing of
what is asked in it, attends to that. The (H + N)^2 mask is never built. Counted features (co-occurrence, likeness, ...)
alone already are a strong ranker (``Ranker.plain``), which is taught first; attention learns what to add to it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from contracts.events import Kind
from contracts.features import FEATURES, GAP_BUCKETS, ORDER_HEADS, OUTCOME_HEADS
from training.config import RankerSize

EMBEDDING_STD = 0.3
WIDE = 64
OUTCOME_WIDE = 32
NEVER = -1e4  # finite, so that a row without any history has no NaN


class Memory(NamedTuple):
    """A block's history as candidates attend to it, made once for all: ``keys`` and ``values`` [B, H + 1, d]."""

    keys: Tensor
    values: Tensor


class Read(NamedTuple):
    """Candidates as heads take them: ``scaled`` [B * N, F] features, ``joined`` [B * N, J] with what attention found.

    ``lists``: B. Rows, because there a product and its bias are one step.
    """

    joined: Tensor
    scaled: Tensor
    lists: int

    def answers(self) -> "Read":
        """The first candidate of each list alone."""
        every = slice(None, None, len(self.joined) // max(1, self.lists))
        return Read(self.joined[every], self.scaled[every], self.lists)


class Encoded(NamedTuple):
    """A history: what candidates attend to in each block, and ``last`` [B, H + 1, d], what comes out of the last one.

    ``mask`` [B, H] is True where there is an event; ``hidden`` [B, 1, H + 1] is added to scores, before all a place for
    "nothing", which is never hidden.
    """

    memories: tuple[Memory, ...]
    last: Tensor
    mask: Tensor
    hidden: Tensor

    def of(self, rows: Tensor) -> "Encoded":
        """Those of ``rows`` alone."""
        memories = tuple(Memory(memory.keys[rows], memory.values[rows]) for memory in self.memories)
        return Encoded(memories, self.last[rows], self.mask[rows], self.hidden[rows])


class Attention(nn.Module):
    """One head, of history over history and of candidates over history.

    With one head a query's and a key's weights are one product, and so are a value's and the output's: both are made of
    the history, once for all that attend to it, and what attends is its own query.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.keys, self.values = nn.Linear(dim, dim), nn.Linear(dim, dim)
        with torch.no_grad():  # as if a query's weights were a key's: likeness is attended from the start
            self.keys.weight.copy_(self.keys.weight.T @ self.keys.weight)
        self.scale = 1.0 / math.sqrt(dim)

    def memory(self, x: Tensor) -> Memory:
        """[B, H + 1, d] -> what is attended to."""
        return Memory(self.keys(x) * self.scale, self.values(x))

    def forward(self, x: Tensor, memory: Memory, hidden: Tensor) -> Tensor:
        """[B * L, d] -> [B * L, d]; ``hidden`` [B, 1 or L, H + 1]."""
        scores = x.view(hidden.shape[0], -1, x.shape[1]) @ memory.keys.transpose(-1, -2) + hidden
        return (scores.softmax(-1) @ memory.values).flatten(0, 1)


class Block(nn.Module):
    """Pre-norm transformer block, the same weights for history and candidates.

    Attention and network read one norm and are added side by side (Wang and Komatsuzaki, GPT-J; Chowdhery et al.,
    "PaLM", 2022). It works on rows: there a product and what is added to it are one step.
    """

    def __init__(self, size: RankerSize) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(size.dim), Attention(size.dim)
        self.widen = nn.Linear(size.dim, 2 * size.dim)
        self.narrow = nn.Linear(2 * size.dim, size.dim, bias=False)  # the values have a bias already
        self.drop = nn.Dropout(size.dropout)

    def history(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Memory]:
        """[B, H + 1, d] -> [B, H + 1, d], and what candidates attend to in this block."""
        normed = self.norm(x)
        memory = self.attention.memory(normed)
        rows = self._added(x.flatten(0, 1), normed.flatten(0, 1), memory, hidden)
        return rows.view(x.shape), memory

    def candidates(self, c: Tensor, memory: Memory, hidden: Tensor) -> Tensor:
        """[B * N, d], beside the history as it went into this block."""
        return self._added(c, self.norm(c), memory, hidden)

    def _added(self, x: Tensor, normed: Tensor, memory: Memory, hidden: Tensor) -> Tensor:
        wide = self.drop(torch.relu(self.widen(normed)))
        return torch.addmm(x + self.drop(self.attention(normed, memory, hidden)), wide, self.narrow.weight.T)


class Ranker(nn.Module):
    """``vector_dim``: columns of an item's vector. Features are standardised by buffers that training sets."""

    means: Tensor
    scales: Tensor

    def __init__(self, size: RankerSize, vector_dim: int) -> None:
        super().__init__()
        self.item = nn.Linear(vector_dim, size.dim)
        self.kind = nn.Embedding(len(Kind), size.dim)
        self.gap = nn.Embedding(GAP_BUCKETS, size.dim)
        self.place = nn.Embedding(size.history_limit, size.dim)
        self.asked, self.nothing = nn.Embedding(1, size.dim), nn.Embedding(1, size.dim)
        self.blocks: Sequence[Block] = nn.ModuleList(Block(size) for _ in range(size.layers))  # type: ignore[assignment]
        self.norm = nn.LayerNorm(size.dim)
        self.likeness = nn.Linear(vector_dim, size.dim, bias=False)
        self.features = nn.Sequential(nn.Linear(len(FEATURES), size.feature_dim), nn.ReLU())
        joined = size.dim + size.feature_dim + len(FEATURES) + 2
        self.heads = nn.Sequential(nn.Linear(joined, size.dim), nn.ReLU(), nn.Linear(size.dim, len(ORDER_HEADS)))
        self.straight = nn.Linear(len(FEATURES), len(ORDER_HEADS))
        self.wide = nn.Sequential(
            nn.Linear(len(FEATURES), WIDE),
            nn.ReLU(),
            nn.Linear(WIDE, WIDE),
            nn.ReLU(),
            nn.Linear(WIDE, len(ORDER_HEADS)),
        )
        self.light = nn.Linear(len(FEATURES), 1, bias=False)  # served as the bundle's prerank, no part of the logits
        self.query = nn.Linear(size.dim, vector_dim)
        self._begin()
        self.stretch = math.sqrt(vector_dim)  # a unit vector's numbers are small beside the embeddings'
        self.outcomes = nn.Sequential(
            nn.Linear(joined, OUTCOME_WIDE), nn.ReLU(), nn.Linear(OUTCOME_WIDE, len(OUTCOME_HEADS))
        )
        self.register_buffer("means", torch.zeros(len(FEATURES)))
        self.register_buffer("scales", torch.ones(len(FEATURES)))

    def _begin(self) -> None:
        for last in (self.heads[-1], self.wide[-1]):  # nothing is added before something is learned
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        for embedding in (self.kind, self.gap, self.place, self.asked, self.nothing):
            nn.init.normal_(embedding.weight, std=EMBEDDING_STD)

    def encode(self, vectors: Tensor, kinds: Tensor, gaps: Tensor) -> Encoded:
        """History [B, H, ...] through all blocks."""
        places = torch.arange(vectors.shape[1], device=vectors.device).flip(0).clamp(max=self.place.num_embeddings - 1)
        mask = kinds > 0
        x = self._token(vectors) + self.kind(kinds) + self.gap(gaps) + self.place(places)[None]
        x = torch.cat([self.nothing.weight[None].expand(x.shape[0], -1, -1), x], 1)
        hidden = nn.functional.pad((~mask) * NEVER, (1, 0))[:, None]
        causal = torch.ones(x.shape[1], x.shape[1], device=x.device).triu(1) * NEVER
        memories = []
        for block in self.blocks:
            x, memory = block.history(x, hidden + causal)
            memories.append(memory)
        return Encoded(tuple(memories), x, mask, hidden)

    def query_of(self, history: Encoded) -> Tensor:
        """[B, D]: what the shopper looks for, to be dotted with item vectors."""
        return self.query(self.norm(history.last[:, -1]))  # type: ignore[no-any-return]

    def read(self, history: Encoded, vectors: Tensor, candidates: Tensor, features: Tensor) -> Read:
        """``candidates`` [B, N, D], each beside the history alone. ``vectors`` as encoded."""
        c = self._token(candidates.flatten(0, 1), self.asked.weight[0])  # rows: a product and its bias are one step
        for block, memory in zip(self.blocks, history.memories, strict=True):
            c = block.candidates(c, memory, history.hidden)
        scaled = self.standard(features.flatten(0, 1))
        near = self._likeness(candidates, vectors, history.mask).flatten(0, 1)
        joined = torch.cat([self.norm(c), self.features(scaled), scaled, near], -1)
        return Read(joined, scaled, candidates.shape[0])

    def order(self, read: Read) -> Tensor:
        """Logits [B, N, order heads]."""
        return (self.heads(read.joined) + self.plain(read.scaled)).unflatten(0, (read.lists, -1))  # type: ignore[no-any-return]

    def outcome(self, read: Read) -> Tensor:
        """Logits [B, N, outcome heads]. What they learn stays theirs: the order is not paid for stars."""
        return self.outcomes(read.joined.detach()).unflatten(0, (read.lists, -1))  # type: ignore[no-any-return]

    def standard(self, features: Tensor) -> Tensor:
        """Features [..., F] beside their means and deviations."""
        return ((features - self.means) / self.scales).clamp(-8.0, 8.0)

    def plain(self, scaled: Tensor) -> Tensor:
        """Logits [B * N, order heads] of standardised features alone."""
        return self.straight(scaled) + self.wide(scaled)  # type: ignore[no-any-return]

    def plain_parameters(self) -> list[nn.Parameter]:
        """What ``plain`` and ``light`` are made of."""
        return [*self.straight.parameters(), *self.wide.parameters(), *self.light.parameters()]

    def keep_outcomes(self, names: Sequence[str]) -> None:
        """Before it is exported: no outcome but those of ``names``, in their order; the others were never taught."""
        last: nn.Linear = self.outcomes[-1]  # type: ignore[assignment]
        rows = [OUTCOME_HEADS.index(name) for name in names]
        kept = nn.Linear(last.in_features, len(rows))
        with torch.no_grad():
            kept.weight.copy_(last.weight[rows])
            kept.bias.copy_(last.bias[rows])
        self.outcomes[-1] = kept

    def prerank(self) -> tuple[float, ...]:
        """[F]: the light order's weights of features as they are, not standardised."""
        return tuple((self.light.weight.detach()[0] / self.scales).tolist())

    def retrieve(self, vectors: Tensor, kinds: Tensor, gaps: Tensor) -> Tensor:
        """History [B, H, ...] -> query [B, D]."""
        return self.query_of(self.encode(vectors, kinds, gaps))

    def forward(self, vectors: Tensor, kinds: Tensor, gaps: Tensor, candidates: Tensor, features: Tensor) -> Tensor:
        """History [B, H, ...], candidates [B, N, D], features [B, N, F] -> logits [B, N, heads]."""
        read = self.read(self.encode(vectors, kinds, gaps), vectors, candidates, features)
        if not len(self.outcomes[-1].weight):  # type: ignore[arg-type]
            return self.order(read)
        return torch.cat([self.order(read), self.outcome(read)], -1)

    def _token(self, vectors: Tensor, beside: Tensor | float = 0.0) -> Tensor:
        """Stretched by way of the weights, which a runtime does once and not for each item."""
        return nn.functional.linear(vectors, self.item.weight * self.stretch, self.item.bias + beside)

    def _likeness(self, candidates: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
        """[B, N, 2]: how like the candidate is to the history: the most, and on average.

        The history goes through the weights there and back, so that no candidate has to. What is no event is like
        nothing, at 0.
        """
        past = (self.likeness(vectors) * (mask[..., None] * self.stretch)) @ self.likeness.weight
        near = candidates @ past.transpose(-1, -2)
        known = near + ((~mask) * NEVER)[:, None]
        average = near.sum(-1, keepdim=True) / mask.sum(-1).clamp(min=1)[:, None, None]
        return torch.cat([known.amax(-1, keepdim=True).clamp(min=-10.0), average], -1)


class Retriever(nn.Module):
    """``Ranker.retrieve`` as a module of its own: what is exported as ``retriever.onnx``."""

    def __init__(self, ranker: Ranker) -> None:
        super().__init__()
        self.ranker = ranker

    def forward(self, vectors: Tensor, kinds: Tensor, gaps: Tensor) -> Tensor:
        """See ``Ranker.retrieve``."""
        return self.ranker.retrieve(vectors, kinds, gaps)
