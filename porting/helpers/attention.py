"""Keras's MultiHeadAttention."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class MultiHeadAttention(nn.Module):
    """Keras's MultiHeadAttention of `(N, T, features)` over `(N, S, features)`.

    Args:
        sizes: The last sizes of query, value and key.
        heads: How many.
        key_dim: Of each head's queries and keys.
        value_dim: Of each head's values.
        out_features: Of the output.
        bias: Whether the four products have biases.
        dropout: Of the weights that values are summed with.
        causal: No step sees those after it.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int],
        heads: int,
        key_dim: int,
        value_dim: int,
        out_features: int,
        bias: bool = True,
        dropout: float = 0.0,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.dropout, self.causal = heads, dropout, causal
        self.query = nn.Linear(sizes[0], heads * key_dim, bias=bias)
        self.value = nn.Linear(sizes[1], heads * value_dim, bias=bias)
        self.key = nn.Linear(sizes[2], heads * key_dim, bias=bias)
        self.output = nn.Linear(heads * value_dim, out_features, bias=bias)

    def forward(self, query: Tensor, value: Tensor, key: Tensor | None = None) -> Tensor:
        pairs = (self.query, query), (self.key, value if key is None else key), (self.value, value)
        # `(N, heads, T or S, size of a head)`
        heads = (layer(taken).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer, taken in pairs)
        queries, keys, values = heads
        dropout = self.dropout if self.training else 0.0
        summed = F.scaled_dot_product_attention(
            queries, keys, values, dropout_p=dropout, is_causal=self.causal
        )
        return self.output(summed.transpose(1, 2).flatten(2))
