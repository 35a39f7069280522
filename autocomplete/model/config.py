"""The configuration of a decoder: its dimensions, and the choices in which model families differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerConfig:
    """What may differ from layer to layer.

    Attributes:
      sliding_window: how many tokens a token attends to, itself included; None for all tokens before it.
      inv_freq: rotary position embeddings, radians per position, one number for each pair of the first
        `2 * len(inv_freq)` dimensions of a head; empty for a layer without them.
    """

    sliding_window: int | None = None
    inv_freq: tuple[float, ...] = ()


@dataclass(frozen=True)
class DecoderConfig:
    """The dimensions of a decoder and its variants.

    Attributes:
      num_layers: transformer layers.
      hidden_size: width of the residual stream.
      num_heads: query heads.
      num_kv_heads: key and value heads, which divide `num_heads` (grouped-query attention).
      head_dim: width of a head.
      intermediate_size: width inside the feed-forward block.
      vocab_size: tokens, rows of the embedding table.
      norm_epsilon: added to the variance in each norm.
      activation: of the feed-forward block, a key of `decoder.ACTIVATIONS`.
      layer_norm: LayerNorm, which subtracts the mean; else RMSNorm.
      gated: the feed-forward block multiplies an activated gate with the other half (GLU).
      parallel_residual: attention and the feed-forward block read the same normed input (GPT-NeoX).
      embedding_scale: factor of the embeddings; None for 1.
      attention_soft_cap: bound of the attention scores, by tanh; None for no bound.
      logit_soft_cap: bound of the logits, by tanh; None for no bound.
      qk_norm_epsilon: as norm_epsilon, in the norms of queries and keys.
      layer_pattern: layer i has the configuration i modulo the length of this.
    """

    num_layers: int
    hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    norm_epsilon: float
    activation: str
    layer_norm: bool = False
    gated: bool = False
    parallel_residual: bool = False
    embedding_scale: float | None = None
    attention_soft_cap: float | None = None
    logit_soft_cap: float | None = None
    qk_norm_epsilon: float = 0.0
    layer_pattern: tuple[LayerConfig, ...] = (LayerConfig(),)

    def layer(self, index: int) -> LayerConfig:
        """The configuration of one layer."""
        return self.layer_pattern[index % len(self.layer_pattern)]

    @property
    def has_sliding_window(self) -> bool:
        """Whether some layers attend to a part of the earlier tokens only."""
        return any(layer.sliding_window is not None for layer in self.layer_pattern)

    @property
    def heads_per_kv_head(self) -> int:
        """How many query heads share one key and value head."""
        return self.num_heads // self.num_kv_heads
