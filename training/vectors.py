"""An item's vector: its frozen text embedding beside a small trained delta of its own."""

import torch
from torch import Tensor, nn

FORGOTTEN = 0.05  # of the deltas, in training


class Vectors(nn.Module):
    """Rows -> [..., text_dim + delta_dim]. A new item has no delta: zeros; in training so has any one now and then."""

    text: Tensor

    def __init__(self, text: Tensor, delta_dim: int) -> None:
        super().__init__()
        self.register_buffer("text", torch.cat([text, torch.zeros(1, text.shape[1])]), persistent=False)
        self.deltas = nn.Embedding(len(text) + 1, delta_dim, padding_idx=len(text))
        nn.init.zeros_(self.deltas.weight)

    def __len__(self) -> int:
        return len(self.text) - 1

    def whole(self) -> Tensor:
        """[items, text_dim + delta_dim]: every item's vector."""
        return torch.cat([self.text, self.deltas.weight], -1)[:-1]

    def forward(self, rows: Tensor) -> Tensor:
        """``rows`` of any shape, -1 for padding (the last row is zeros)."""
        at = torch.where(rows < 0, len(self), rows)
        return torch.cat([self.text[at], self._forgotten(self.deltas(at))], -1)

    def _forgotten(self, deltas: Tensor) -> Tensor:
        """[..., delta_dim]: as if every so many of the items were new."""
        if not self.training:
            return deltas
        kept = torch.rand(deltas.shape[:-1]) >= FORGOTTEN  # drawn on the CPU: the same on every device
        return deltas * kept.to(deltas.device)[..., None]
