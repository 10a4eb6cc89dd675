"""The ranker: one forward encodes a history and scores all its candidates, each isolated from the others.

A history token is the item's vector, the kind of event, the time since, and the place from the end. History attends
to itself causally. A candidate attends to the history and to itself, never to another candidate: its score does not
depend on who else is in the list. The (H + N)^2 mask is never built. Counted features (co-occurrence, likeness, ...)
alone already are a strong ranker (``Ranker.plain``), which is taught first; attention learns what to add to it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from contracts.events import Kind
from contracts.features import FEATURES, GAP_BUCKETS, HEADS
from training.config import RankerSize

EMBEDDING_STD = 0.3
WIDE = 64
NEVER = -1e4  # finite, so that a row without any history has no NaN


class Memory(NamedTuple):
    """A block's history as candidates attend to it, made once for all of them; ``heads`` of ``h = d / heads`` columns.

    ``keys`` [B, heads, H + 1, h + 2], scaled, their last two columns and last row those of ``Attention.candidates``;
    ``values`` [B, heads, H + 1, h], the last row zeros.
    """

    keys: Tensor
    values: Tensor


class Encoded(NamedTuple):
    """A history: what candidates attend to in each block, and ``last`` [B, H, d], what comes out of the last block.

    ``mask`` [B, H] is True where there is an event.
    """

    memories: tuple[Memory, ...]
    last: Tensor
    mask: Tensor

    def of(self, rows: Tensor) -> "Encoded":
        """Those of ``rows`` alone."""
        memories = tuple(Memory(memory.keys[rows], memory.values[rows]) for memory in self.memories)
        return Encoded(memories, self.last[rows], self.mask[rows])


class Attention(nn.Module):
    """Multi-head attention of history over history, and of candidates over history and themselves."""

    last: Tensor

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = 1.0 / math.sqrt(dim // heads)
        self.q, self.k, self.v, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.k.load_state_dict(self.q.state_dict())  # W_k = W_q at first: likeness is attended from the start
        last = nn.functional.pad(torch.ones(1, 1, 1, 1), (dim // heads + 1, 0))
        self.register_buffer("last", last, persistent=False)  # the memory's last key: reads a candidate's own score

    def split(self, x: Tensor) -> Tensor:
        """[B, L, d] -> [B, L, heads, d / heads]."""
        return x.view(x.shape[0], x.shape[1], self.heads, -1)

    def history(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Memory]:
        """Causal, over events only (a padded place sees itself); and what candidates will attend to."""
        q, k, v = (self.split(each(x)).transpose(1, 2) for each in (self.q, self.k, self.v))
        k = k * self.scale
        places = torch.arange(x.shape[1], device=x.device)
        before = places[:, None] >= places[None, :]
        seen = (before[None] & mask[:, None, :]) | (places[:, None] == places[None, :])[None]
        scores = q @ k.transpose(-1, -2) + (~seen[:, None]) * NEVER
        return self.join((scores.softmax(-1) @ v).transpose(1, 2)), self._memory(k, v, mask)

    def _memory(self, k: Tensor, v: Tensor, mask: Tensor) -> Memory:
        """A column that is added to the scores of what is no event; a row and column for a candidate's own score."""
        hidden = ((~mask) * NEVER)[:, None, :, None].to(k.dtype).expand(-1, self.heads, -1, -1)
        own = self.last.expand(k.shape[0], self.heads, -1, -1)
        keys = torch.cat([nn.functional.pad(torch.cat([k, hidden], -1), (0, 1)), own], 2)
        return Memory(keys, nn.functional.pad(v, (0, 0, 0, 1)))

    def candidates(self, c: Tensor, memory: Memory) -> Tensor:
        """Each candidate over the history and itself alone; ``c`` [B * N, d], in and out.

        Its own score is one more column of its query, which only the memory's last key reads, and a one is another,
        which hides the padding: one product gives all scores, with nothing to add and nothing to join.
        """
        shoppers = memory.keys.shape[0]
        q, k, v = (self.split(each(c).unflatten(0, (shoppers, -1))) for each in (self.q, self.k, self.v))
        own = (q * k).sum(-1, keepdim=True) * self.scale
        asks = torch.cat([q, torch.ones_like(own), own], -1).transpose(1, 2)
        weights = (asks @ memory.keys.transpose(-1, -2)).softmax(-1)
        found = (weights @ memory.values).transpose(1, 2) + weights[..., -1:].transpose(1, 2) * v
        return self.out(found.flatten(2).flatten(0, 1))  # type: ignore[no-any-return]

    def join(self, x: Tensor) -> Tensor:
        """[B, L, heads, d / heads] -> [B, L, d]."""
        return self.out(x.flatten(-2))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm transformer block, the same weights for history and candidates."""

    def __init__(self, size: RankerSize) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(size.dim), nn.LayerNorm(size.dim)
        self.attention = Attention(size.dim, size.attention_heads)
        self.mlp = nn.Sequential(nn.Linear(size.dim, 2 * size.dim), nn.GELU(), nn.Linear(2 * size.dim, size.dim))
        self.drop = nn.Dropout(size.dropout)

    def history(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Memory]:
        """[B, H, d] -> [B, H, d], and what candidates attend to in this block."""
        attended, memory = self.attention.history(self.before(x), mask)
        return self._rest(x + self.drop(attended)), memory

    def candidates(self, c: Tensor, memory: Memory) -> Tensor:
        """[B * N, d], beside the history as it went into this block."""
        return self._rest(c + self.drop(self.attention.candidates(self.before(c), memory)))

    def _rest(self, x: Tensor) -> Tensor:
        return x + self.drop(self.mlp(self.after(x)))  # type: ignore[no-any-return]


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
        self.asked = nn.Embedding(1, size.dim)
        self.blocks: Sequence[Block] = nn.ModuleList(Block(size) for _ in range(size.layers))  # type: ignore[assignment]
        self.norm = nn.LayerNorm(size.dim)
        self.likeness = nn.Linear(vector_dim, size.dim, bias=False)
        self.features = nn.Sequential(nn.Linear(len(FEATURES), size.feature_dim), nn.GELU())
        joined = size.dim + size.feature_dim + len(FEATURES) + 3
        self.heads = nn.Sequential(nn.Linear(joined, size.dim), nn.GELU(), nn.Linear(size.dim, len(HEADS)))
        self.straight = nn.Linear(len(FEATURES), len(HEADS))
        self.wide = nn.Sequential(
            nn.Linear(len(FEATURES), WIDE), nn.GELU(), nn.Linear(WIDE, WIDE), nn.GELU(), nn.Linear(WIDE, len(HEADS))
        )
        self.light = nn.Linear(len(FEATURES), 1, bias=False)  # served as the bundle's prerank, no part of the logits
        self.query = nn.Linear(size.dim, vector_dim)
        for last in (self.heads[-1], self.wide[-1]):  # nothing is added before something is learned
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        for embedding in (self.kind, self.gap, self.place, self.asked):
            nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
        self.stretch = math.sqrt(vector_dim)  # a unit vector's numbers are small beside the embeddings'
        self.register_buffer("means", torch.zeros(len(FEATURES)))
        self.register_buffer("scales", torch.ones(len(FEATURES)))

    def encode(self, vectors: Tensor, kinds: Tensor, gaps: Tensor) -> Encoded:
        """History [B, H, ...] through all blocks."""
        places = torch.arange(vectors.shape[1], device=vectors.device).flip(0).clamp(max=self.place.num_embeddings - 1)
        mask = kinds > 0
        x = self._token(vectors) + self.kind(kinds) + self.gap(gaps) + self.place(places)[None]
        memories = []
        for block in self.blocks:
            x, memory = block.history(x, mask)
            memories.append(memory)
        return Encoded(tuple(memories), x, mask)

    def query_of(self, history: Encoded) -> Tensor:
        """[B, D]: what the shopper looks for, to be dotted with item vectors."""
        return self.query(self.norm(history.last[:, -1]))  # type: ignore[no-any-return]

    def score(self, history: Encoded, vectors: Tensor, candidates: Tensor, features: Tensor) -> Tensor:
        """Logits [B, N, heads] of ``candidates`` [B, N, D], each beside the history alone. ``vectors`` as encoded."""
        c = self._token(candidates.flatten(0, 1), self.asked.weight[0])  # rows: a product and its bias are one step
        for block, memory in zip(self.blocks, history.memories, strict=True):
            c = block.candidates(c, memory)
        scaled = self.standard(features.flatten(0, 1))
        near = self._likeness(candidates, vectors, history.mask).flatten(0, 1)
        joined = torch.cat([self.norm(c), self.features(scaled), scaled, near], -1)
        return (self.heads(joined) + self.plain(scaled)).unflatten(0, (candidates.shape[0], -1))  # type: ignore[no-any-return]

    def standard(self, features: Tensor) -> Tensor:
        """Features [..., F] beside their means and deviations."""
        return ((features - self.means) / self.scales).clamp(-8.0, 8.0)

    def plain(self, scaled: Tensor) -> Tensor:
        """Logits [B, N, heads] of standardised features alone."""
        return self.straight(scaled) + self.wide(scaled)  # type: ignore[no-any-return]

    def plain_parameters(self) -> list[nn.Parameter]:
        """What ``plain`` and ``light`` are made of."""
        return [*self.straight.parameters(), *self.wide.parameters(), *self.light.parameters()]

    def prerank(self) -> tuple[float, ...]:
        """[F]: the light order's weights of features as they are, not standardised."""
        return tuple((self.light.weight.detach()[0] / self.scales).tolist())

    def retrieve(self, vectors: Tensor, kinds: Tensor, gaps: Tensor) -> Tensor:
        """History [B, H, ...] -> query [B, D]."""
        return self.query_of(self.encode(vectors, kinds, gaps))

    def forward(self, vectors: Tensor, kinds: Tensor, gaps: Tensor, candidates: Tensor, features: Tensor) -> Tensor:
        """History [B, H, ...], candidates [B, N, D], features [B, N, F] -> logits [B, N, heads]."""
        return self.score(self.encode(vectors, kinds, gaps), vectors, candidates, features)

    def _token(self, vectors: Tensor, beside: Tensor | float = 0.0) -> Tensor:
        """Stretched by way of the weights, which a runtime does once and not for each item."""
        return nn.functional.linear(vectors, self.item.weight * self.stretch, self.item.bias + beside)

    def _likeness(self, candidates: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
        """[B, N, 3]: how like the candidate is to the history: the most, softly the most, on average.

        The history goes through the weights there and back, so that no candidate has to. What is no event is like
        nothing, at 0.
        """
        past = (self.likeness(vectors) * (mask[..., None] * self.stretch)) @ self.likeness.weight
        near = candidates @ past.transpose(-1, -2)
        known = near + ((~mask) * NEVER)[:, None]
        soft = (known.softmax(-1) * near).sum(-1, keepdim=True)
        average = near.sum(-1, keepdim=True) / mask.sum(-1).clamp(min=1)[:, None, None]
        return torch.cat([known.amax(-1, keepdim=True).clamp(min=-10.0), soft, average], -1)


class Retriever(nn.Module):
    """``Ranker.retrieve`` as a module of its own: what is exported as ``retriever.onnx``."""

    def __init__(self, ranker: Ranker) -> None:
        super().__init__()
        self.ranker = ranker

    def forward(self, vectors: Tensor, kinds: Tensor, gaps: Tensor) -> Tensor:
        """See ``Ranker.retrieve``."""
        return self.ranker.retrieve(vectors, kinds, gaps)
