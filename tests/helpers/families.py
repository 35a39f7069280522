"""A toy of each family of models: a KerasHub preset with random weights, norms and biases, made in seconds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from autocomplete.common.native_log import quiet
from helpers.toys import SLOTS, TEXT, Toy

CONTEXT = 96
WINDOW = 11  # less than a text and no multiple of a chunk
_GROUPED = {"num_query_heads": 4, "num_key_value_heads": 2}
_STRETCH = {
    "rope_frequency_adjustment_factor": 8.0,
    "rope_low_freq_factor": 1.0,
    "rope_high_freq_factor": 4.0,
    "rope_pretraining_sequence_length": 64,
}
_GEMMA2 = {
    "use_post_ffw_norm": True,
    "use_post_attention_norm": True,
    "attention_logit_soft_cap": 5.0,
    "final_logit_soft_cap": 8.0,
    "use_sliding_window_attention": True,
    "sliding_window_size": WINDOW,
}
_GEMMA3 = {
    "image_size": 16,
    "use_post_ffw_norm": True,
    "use_post_attention_norm": True,
    "use_sliding_window_attention": True,
    "sliding_window_size": WINDOW,
    "local_rope_scaling_factor": 1.0,
    "global_rope_scaling_factor": 8.0,
}


@dataclass(frozen=True)
class Family:
    """KerasHub's name of a family, its special tokens, and the arguments of its backbone.

    A family with a start token and an end token, in this order, has a SentencePiece model.
    """

    name: str
    special: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)
    layers: int = 2


LLAMA2_TOKENS, GEMMA_TOKENS = ("<s>", "</s>"), ("<bos>", "<eos>")
LLAMA3_TOKENS = ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")
FAMILIES = {
    "opt": Family("OPT", ("<pad>", "</s>"), {"num_heads": 2, "max_sequence_length": CONTEXT}),
    "gpt_neo_x": Family(
        "GPTNeoX",
        ("<|padding|>", "<|endoftext|>"),
        {"num_heads": 2, "max_sequence_length": CONTEXT, "rotary_percentage": 0.25},
    ),
    "llama2": Family("Llama", LLAMA2_TOKENS, _GROUPED),
    "llama3": Family("Llama3", LLAMA3_TOKENS, _GROUPED | _STRETCH | {"num_key_value_heads": 1}),
    "llama3_tied": Family("Llama3", LLAMA3_TOKENS, _GROUPED | {"tie_word_embeddings": True}),
    "mistral": Family("Mistral", LLAMA2_TOKENS, _GROUPED | {"sliding_window": WINDOW, "head_dim": 12}),
    "qwen": Family("Qwen", ("<|padding|>", "<|endoftext|>"), _GROUPED),
    "qwen_windowed": Family(
        "Qwen",
        ("<|padding|>", "<|endoftext|>"),
        _GROUPED | {"use_sliding_window_attention": True, "sliding_window_size": WINDOW, "tie_word_embeddings": False},
    ),
    "qwen3": Family("Qwen3", ("<|endoftext|>", "<|im_end|>"), _GROUPED | {"head_dim": 12}),
    "gemma": Family("Gemma", GEMMA_TOKENS, {"num_query_heads": 4, "num_key_value_heads": 1, "head_dim": 12}),
    "gemma2": Family("Gemma", GEMMA_TOKENS, _GROUPED | _GEMMA2 | {"head_dim": 12}, layers=3),
    "gemma3": Family("Gemma3", GEMMA_TOKENS, _GROUPED | _GEMMA3 | {"head_dim": 12}, layers=7),
}


def build(family: Family, folder: Path) -> Toy:
    """Writes a toy of a family into a folder, as `make_toy` does for GPT-2."""
    import keras_hub

    from autocomplete.model import families
    from autocomplete.presets import loading, presets
    from autocomplete.tokenizer import tokenizer

    models = vars(keras_hub.models)
    keras_tokenizer = _tokenizer(family, folder)
    backbone = models[f"{family.name}Backbone"](
        vocabulary_size=keras_tokenizer.vocabulary_size(),
        num_layers=family.layers,
        hidden_dim=32,
        intermediate_dim=96,
        name="backbone",
        **family.config,
    )
    randomize(backbone)
    preprocessor = models[f"{family.name}CausalLMPreprocessor"](tokenizer=keras_tokenizer, sequence_length=CONTEXT)
    model = models[f"{family.name}CausalLM"](backbone=backbone, preprocessor=preprocessor)
    presets.save(model, folder / "preset")
    loaded = loading.from_keras_model(model)
    presets.write_tokenizer(loaded.tokenizer, folder / "preset")
    vocabulary = tokenizer.parse_vocabulary(loaded.tokenizer, loaded.start_token_id, loaded.end_token_ids)
    weights = families.read_weights(folder / "preset", SLOTS)
    return Toy(folder / "preset", model, weights, vocabulary, loaded.load_tokenizer(), loaded.end_token_ids[0])


def randomize(backbone: Any) -> None:
    """Random weights, norms and biases too: values of 0 or 1 would hide a mistake."""
    random = np.random.default_rng(7)
    for weight in backbone.weights:
        scales = weight.path.endswith(("gamma", "scale")) and "rms_norm" not in weight.path
        weight.assign(random.normal(0.0, 0.25, weight.shape) + (1.0 if scales else 0.0))


def _tokenizer(family: Family, folder: Path) -> Any:
    """KerasHub's tokenizer of a family, trained on TEXT."""
    import keras_hub

    from autocomplete.tokenizer import tokenizer

    tokenizer_class = vars(keras_hub.models)[f"{family.name}Tokenizer"]
    if family.special in (LLAMA2_TOKENS, GEMMA_TOKENS):
        options = {"has_vision_tokens": False} if family.name == "Gemma3" else {}
        return tokenizer_class(proto=sentencepiece(*family.special), **options)
    tokenizer.train(TEXT, 512, folder / "tokenizer", family.special)
    files = [str(folder / "tokenizer" / n) for n in ("vocabulary.json", "merges.txt")]
    return tokenizer_class(*files, name="tokenizer")


def sentencepiece(start: str, end: str) -> bytes:
    """A small SentencePiece model of TEXT with byte fallback, as Gemma's and Llama 2's are."""
    import io

    import sentencepiece

    proto = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_by_whitespace=True,
        add_dummy_prefix=start == "<s>",
        sentence_iterator=iter(line for text in TEXT for line in text.splitlines() if line.strip()),
        model_writer=proto,
        vocab_size=512,
        model_type="BPE",
        byte_fallback=True,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        bos_piece=start,
        eos_piece=end,
        unk_piece="<unk>",
        minloglevel=2,
    )
    return proto.getvalue()


def quietly(family: Family, folder: Path) -> Toy:
    """The toy, made without the output of Keras and SentencePiece."""
    with quiet():
        return build(family, folder)
