"""What a loop around the core goes by: growing_loop.py and fixed_loop.py take the same plan."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from autocomplete.model.config import DecoderConfig

# (logits [rows, V], position of the token that the first row predicts) → the chosen ids, int32 [rows]
ChooseTokens = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class LoopLengths:
    """Lengths of a loop, in tokens.

    Attributes:
      sequence_length: the longest answer, the prompt included.
      prefill_chunk: how many tokens of the prompt one step reads.
      recent_slots: slots of `recent`.
      draft_tokens: how many tokens one step reads where the text repeats itself: the last one, and the draft tokens
        behind it. 1 for no drafts.
    """

    sequence_length: int
    prefill_chunk: int
    recent_slots: int = 16
    draft_tokens: int = 1


@dataclass(frozen=True)
class LoopPlan:
    """What a loop needs beside a prompt.

    Attributes:
      config: the decoder's configuration.
      end_token_ids: the ids that end a text; the first one also pads an answer.
      lengths: of the loop.
      choose: the sampler.
      max_length: int32 `[]`, tokens of the answer at most, the prompt included; at most `sequence_length`.
      may_draft: bool `[]`, whether this call may use draft tokens; None for a graph without them. Where tokens are
        drawn at random, drafts are seldom accepted.
    """

    config: DecoderConfig
    end_token_ids: tuple[int, ...]
    lengths: LoopLengths
    choose: ChooseTokens
    max_length: tf.Tensor
    may_draft: tf.Tensor | None = None

    @property
    def pad_id(self) -> int:
        """The id that pads an answer."""
        return self.end_token_ids[0]

    @property
    def has_drafts(self) -> bool:
        """Whether the graph has draft tokens at all; without them nothing is added for them."""
        return self.may_draft is not None and self.lengths.draft_tokens > 1
