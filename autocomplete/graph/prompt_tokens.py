"""What the drivers of text and bytes share: the preset's vocabulary, and the part of a prompt that the model reads."""

from pathlib import Path

import tensorflow as tf

from autocomplete.common.artifacts import ModelDescription
from autocomplete.tokenizer import tokenizer
from autocomplete.tokenizer.tokenizer import Vocabulary


def vocabulary_for(preset: Path, model: ModelDescription) -> Vocabulary:
    """The vocabulary of a preset, by its description (model.json).

    Raises:
      UnsupportedTokenizerError: if a graph cannot do what the tokenizer does.
    """
    return tokenizer.parse_vocabulary(tokenizer.read_tokenizer_json(preset), model.start, model.end_token_ids)


def context_window(
    ids: tf.Tensor, count: tf.Tensor, vocabulary: Vocabulary, max_tokens: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The start token and the last ids of a prompt.

    A prompt without tokens becomes the start token, or the end token of a model that has no start token.

    Args:
      ids: int32 `[n]`.
      count: int32 `[]`, how many of the ids are the prompt.
      vocabulary: the model's.
      max_tokens: ids that are kept, the start token not included.

    Returns:
      Ids int32 `[max_tokens + 1]`, and their number int32 `[]`.
    """
    width = max_tokens + 1
    num_kept = tf.minimum(count, max_tokens)
    last = tf.slice(tf.concat([ids, tf.zeros([width], tf.int32)], 0), [count - num_kept], [width])
    if vocabulary.start_token_id is None:
        is_first = tf.equal(tf.range(width), 0)
        last = tf.where(tf.logical_and(is_first, tf.equal(num_kept, 0)), vocabulary.end_token_id, last)
        return last, tf.maximum(num_kept, 1)
    return tf.concat([[vocabulary.start_token_id], last[:-1]], 0), num_kept + 1
