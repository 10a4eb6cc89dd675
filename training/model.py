"""The ranker: one forward encodes a history and scores all its candidates, each isolated from the others.

A history token is the item's vector, the kind of event, the time since, and the place from the end. History attends
to itself causally. A candidate attends to the history and to itself, never to another candidate: its score does not
depend on who else is in the list. The (H + N)^2 mask is never built. Counted features (co-occurrence, likeness, ...)
enter beside the attention's answer, because alone they already are a strong ranker.
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
NEVER = -1e4  # finite, so that a row without any history has no NaN


class Encoded(NamedTuple):
    """A history: what goes into each block, ``states`` of [B, H, d], and what comes out of the last.

    ``mask`` [B, H] is True where there is an event.
    """

    states: tuple[Tensor, ...]
    mask: Tensor


class Attention(nn.Module):
    """Multi-head attention of history over history, and of candidates over history and themselves."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.k.load_state_dict(self.q.state_dict())  # W_k = W_q at first: likeness is attended from the start

    def split(self, x: Tensor) -> Tensor:
        """[B, L, d] -> [B, heads, L, d / heads]."""
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def history(self, x: Tensor, mask: Tensor) -> Tensor:
        """Causal, over events only (a padded place sees itself)."""
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        places = torch.arange(x.shape[1], device=x.device)
        before = places[:, None] >= places[None, :]
        seen = (before[None] & mask[:, None, :]) | (places[:, None] == places[None, :])[None]
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + (~seen[:, None]) * NEVER
        return self.join(scores.softmax(-1) @ v)

    def candidates(self, c: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """Each candidate over the history and itself alone."""
        q, k, v = self.split(self.q(c)), self.split(self.k(x)), self.split(self.v(x))
        own_k, own_v = self.split(self.k(c)), self.split(self.v(c))
        scale = 1.0 / math.sqrt(q.shape[-1])
        past = q @ k.transpose(-1, -2) * scale + (~mask[:, None, None, :]) * NEVER
        own = (q * own_k).sum(-1, keepdim=True) * scale
        weights = torch.cat([past, own], -1).softmax(-1)
        return self.join(weights[..., :-1] @ v + weights[..., -1:] * own_v)

    def join(self, x: Tensor) -> Tensor:
        """[B, heads, L, d / heads] -> [B, L, d]."""
        return self.out(x.transpose(1, 2).flatten(-2))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm transformer block, the same weights for history and candidates."""

    def __init__(self, size: RankerSize) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(size.dim), nn.LayerNorm(size.dim)
        self.attention = Attention(size.dim, size.attention_heads)
        self.mlp = nn.Sequential(nn.Linear(size.dim, 2 * size.dim), nn.GELU(), nn.Linear(2 * size.dim, size.dim))
        self.drop = nn.Dropout(size.dropout)

    def history(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, H, d] -> [B, H, d]."""
        return self._rest(x + self.drop(self.attention.history(self.before(x), mask)))

    def candidates(self, c: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """[B, N, d], beside the history as it went into this block."""
        return self._rest(c + self.drop(self.attention.candidates(self.before(c), self.before(x), mask)))

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
        self.query = nn.Linear(size.dim, vector_dim)
        for embedding in (self.kind, self.gap, self.place, self.asked):
            nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
        self.stretch = math.sqrt(vector_dim)  # a unit vector's numbers are small beside the embeddings'
        self.register_buffer("means", torch.zeros(len(FEATURES)))
        self.register_buffer("scales", torch.ones(len(FEATURES)))

    def encode(self, vectors: Tensor, kinds: Tensor, gaps: Tensor) -> Encoded:
        """History [B, H, ...] through all blocks."""
        places = torch.arange(vectors.shape[1], device=vectors.device).flip(0).clamp(max=self.place.num_embeddings - 1)
        mask = kinds > 0
        states = [self.item(vectors * self.stretch) + self.kind(kinds) + self.gap(gaps) + self.place(places)[None]]
        for block in self.blocks:
            states.append(block.history(states[-1], mask))
        return Encoded(tuple(states), mask)

    def query_of(self, history: Encoded) -> Tensor:
        """[B, D]: what the shopper looks for, to be dotted with item vectors."""
        return self.query(self.norm(history.states[-1][:, -1]))  # type: ignore[no-any-return]

    def score(self, history: Encoded, vectors: Tensor, candidates: Tensor, features: Tensor) -> Tensor:
        """Logits [B, N, heads] of ``candidates`` [B, N, D], each beside the history alone. ``vectors`` as encoded."""
        c = self.item(candidates * self.stretch) + self.asked.weight[None]
        for block, x in zip(self.blocks, history.states, strict=False):
            c = block.candidates(c, x, history.mask)
        scaled = ((features - self.means) / self.scales).clamp(-8.0, 8.0)
        near = self._likeness(candidates, vectors, history.mask)
        joined = torch.cat([self.norm(c), self.features(scaled), scaled, near], -1)
        return self.heads(joined) + self.straight(scaled)  # type: ignore[no-any-return]

    def retrieve(self, vectors: Tensor, kinds: Tensor, gaps: Tensor) -> Tensor:
        """History [B, H, ...] -> query [B, D]."""
        return self.query_of(self.encode(vectors, kinds, gaps))

    def forward(self, vectors: Tensor, kinds: Tensor, gaps: Tensor, candidates: Tensor, features: Tensor) -> Tensor:
        """History [B, H, ...], candidates [B, N, D], features [B, N, F] -> logits [B, N, heads]."""
        return self.score(self.encode(vectors, kinds, gaps), vectors, candidates, features)

    def _likeness(self, candidates: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
        """[B, N, 3]: how like the candidate is to the history: the most, softly the most, on average."""
        near = self.likeness(candidates) @ self.likeness(vectors).transpose(-1, -2) * self.stretch
        known = mask[:, None, :]
        count = known.sum(-1).clamp(min=1)
        most = torch.where(known, near, NEVER).amax(-1)
        soft = (torch.where(known, near, NEVER).softmax(-1) * near * known).sum(-1)
        return torch.stack([most.clamp(min=-10.0), soft, (near * known).sum(-1) / count], -1)


class Retriever(nn.Module):
    """``Ranker.retrieve`` as a module of its own: what is exported as ``retriever.onnx``."""

    def __init__(self, ranker: Ranker) -> None:
        super().__init__()
        self.ranker = ranker

    def forward(self, vectors: Tensor, kinds: Tensor, gaps: Tensor) -> Tensor:
        """See ``Ranker.retrieve``."""
        return self.ranker.retrieve(vectors, kinds, gaps)
