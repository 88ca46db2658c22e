"""The code-prediction transformer of stage II (paper, section 3.2)."""

from torch import Tensor, nn
from torch.nn import functional as F

from .layers import Operations


class SelfAttention(nn.Module):
    """Multi-head self-attention whose query and key carry the positions and whose value does not.

    Four plain linear layers instead of `nn.MultiheadAttention`, whose packed weights no host's
    memory manager can cast or move by itself.
    """

    def __init__(self, width: int, heads: int, operations: Operations = nn) -> None:
        super().__init__()
        self.heads = heads
        self.q = operations.Linear(width, width)
        self.k = operations.Linear(width, width)
        self.v = operations.Linear(width, width)
        self.out = operations.Linear(width, width)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        placed = tokens + positions
        query, key, value = (
            # (B, T, heads * d) -> (B, heads, T, d)
            projected.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projected in (self.q(placed), self.k(placed), self.v(tokens))
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        return self.out(attended.transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """Pre-norm self-attention and feed-forward over tokens (B, T, width)."""

    def __init__(self, width: int, heads: int, operations: Operations = nn) -> None:
        super().__init__()
        self.norm1 = operations.LayerNorm(width)
        self.self_attn = SelfAttention(width, heads, operations)
        self.norm2 = operations.LayerNorm(width)
        self.linear1 = operations.Linear(width, 2 * width)
        self.linear2 = operations.Linear(2 * width, width)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        tokens = tokens + self.self_attn(self.norm1(tokens), positions)
        return tokens + self.linear2(F.gelu(self.linear1(self.norm2(tokens))))
