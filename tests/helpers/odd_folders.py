"""Small Hugging Face folders, made without Keras, and what may be done to them."""

import itertools
import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from safetensors.numpy import load_file, save_file

from autocomplete.tokenizer import pre_tokenizers

Change = Callable[[Path], object]
Arrays = dict[str, np.ndarray]
CONFIG, TOKENIZER, SETTINGS, GENERATION, WEIGHTS, INDEX = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
)
START, END, PADDING = SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|pad|>")
MERGES = [["Ġ", "t"], ["h", "e"], ["Ġt", "he"]]
TOKENS = [*SPECIAL, *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in MERGES)]
LAYERS, WIDTH, INNER, HEAD, POSITIONS = 2, 16, 24, 4, 96
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": len(TOKENS),
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": INNER,
    "max_position_embeddings": POSITIONS,
    "head_dim": HEAD,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
}
GPT2 = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "vocab_size": len(TOKENS),
    "n_embd": WIDTH,
    "n_layer": LAYERS,
    "n_head": 4,
    "n_positions": POSITIONS,
}
HEAD_ROWS, TABLE, NORM = "lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"


def make(folder: Path) -> Path:
    """A folder with the folders "llama" and "gpt2"."""
    _write(folder / "llama", LLAMA, _llama_weights(), pre_tokenizers.LLAMA3)
    _write(folder / "gpt2", GPT2, _gpt2_weights(), pre_tokenizers.GPT2)
    return folder


def _write(folder: Path, config: Mapping[str, Any], arrays: Arrays, words: str) -> None:
    folder.mkdir()
    settings = {"bos_token": START, "eos_token": END, "pad_token": {"content": PADDING, "lstrip": False}}
    contents = {CONFIG: config, GENERATION: {"eos_token_id": 1}, SETTINGS: settings, TOKENIZER: _tokenizer(words)}
    for name, content in contents.items():
        put(folder / name, content)
    save_file(arrays, folder / WEIGHTS, {"format": "pt"})


def _llama_weights() -> Arrays:
    shapes = {TABLE: (len(TOKENS), WIDTH), NORM: (WIDTH,), HEAD_ROWS: (len(TOKENS), WIDTH)}
    for i in range(LAYERS):
        layer = {
            "self_attn.q_proj": (WIDTH, WIDTH),
            "self_attn.k_proj": (8, WIDTH),
            "self_attn.v_proj": (8, WIDTH),
            "self_attn.o_proj": (WIDTH, WIDTH),
            "mlp.gate_proj": (INNER, WIDTH),
            "mlp.up_proj": (INNER, WIDTH),
            "mlp.down_proj": (WIDTH, INNER),
            "input_layernorm": (WIDTH,),
            "post_attention_layernorm": (WIDTH,),
        }
        shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
    return _random(shapes)


def _gpt2_weights() -> Arrays:
    """Without a prefix, and with masks, as GPT-2's own files are."""
    shapes = {"wte.weight": (len(TOKENS), WIDTH), "wpe.weight": (POSITIONS, WIDTH)}
    shapes |= {f"ln_f.{part}": (WIDTH,) for part in ("weight", "bias")}
    matrices = {"attn.c_attn": 48, "attn.c_proj": WIDTH, "mlp.c_fc": 64, "mlp.c_proj": WIDTH}
    for i in range(LAYERS):
        for name, out in matrices.items():
            inner = 64 if name == "mlp.c_proj" else WIDTH
            shapes |= {f"h.{i}.{name}.weight": (inner, out), f"h.{i}.{name}.bias": (out,)}
        shapes |= {f"h.{i}.{norm}.{part}": (WIDTH,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")}
    masks = {f"h.{i}.attn.bias": np.tril(np.ones((1, 1, POSITIONS, POSITIONS), np.uint8)) for i in range(LAYERS)}
    return _random(shapes) | masks


def _random(shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    random = np.random.default_rng(7)
    return {name: random.normal(0, 0.25, shape).astype(np.float32) for name, shape in shapes.items()}


def _tokenizer(words: str) -> dict[str, Any]:
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False) | {"special": True}
    single = [{"SpecialToken": {"id": START, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    told = {START: {"id": START, "ids": [0], "tokens": [START]}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "normalizer": None,
        "added_tokens": [{"id": i, "content": token} | flags for i, token in enumerate(SPECIAL)],
        "pre_tokenizer": pre_tokenizers.pre_tokenizer(words),
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": told},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(TOKENS)},
            "merges": MERGES,
        },
    }


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def put(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def keys(name: str, **changes: Any) -> Change:
    """A JSON file with other keys."""
    return lambda folder: put(folder / name, read(folder / name) | changes)


def config(**changes: Any) -> Change:
    return keys(CONFIG, **changes)


def whole(base: Mapping[str, Any], **changes: Any) -> Change:
    """Another config.json."""
    return lambda folder: put(folder / CONFIG, dict(base) | changes)


def settings(**changes: Any) -> Change:
    return keys(SETTINGS, **changes)


def lacking(name: str, *gone: str) -> Change:
    """A JSON file without some keys."""
    return lambda folder: put(folder / name, {k: v for k, v in read(folder / name).items() if k not in gone})


def parts(**changes: Any) -> Change:
    return keys(TOKENIZER, **changes)


def bpe(**changes: Any) -> Change:
    """tokenizer.json, of which the model is changed."""
    return lambda folder: parts(model=read(folder / TOKENIZER)["model"] | changes)(folder)


def tokens(**ids: Any) -> Change:
    """tokenizer.json with more in its vocabulary."""
    return lambda folder: bpe(vocab=read(folder / TOKENIZER)["model"]["vocab"] | ids)(folder)


def added(*more: Any) -> Change:
    """tokenizer.json with more added tokens."""
    return lambda folder: parts(added_tokens=[*read(folder / TOKENIZER)["added_tokens"], *more])(folder)


def template(*single: Any, **special_tokens: Any) -> Change:
    return parts(
        post_processor={"type": "TemplateProcessing", "single": list(single), "special_tokens": special_tokens}
    )


def written(name: str, content: str | bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def without(*names: str) -> Change:
    return lambda folder: [(folder / name).unlink() for name in names]


def encoded(name: str, encoding: str) -> Change:
    return lambda folder: (folder / name).write_bytes((folder / name).read_text().encode(encoding))


def cut(name: str, size: int) -> Change:
    """A file of `size` bytes; less than 0, of so many fewer than it has."""
    return lambda folder: os.truncate(folder / name, size if size > 0 else (folder / name).stat().st_size + size)


def arrays(change: Callable[[Arrays], Arrays], name: str = WEIGHTS) -> Change:
    """Other weights in a file."""
    return lambda folder: save_file(change(load_file(folder / name)), folder / name, {"format": "pt"})


def weight(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return arrays(lambda found: found | {name: np.ascontiguousarray(change(found[name]))})


def more(name: str, array: np.ndarray, file: str = WEIGHTS) -> Change:
    return arrays(lambda found: found | {name: array}, file)


def fewer(name: str) -> Change:
    return arrays(lambda found: {n: array for n, array in found.items() if n != name})


def cast(kind: Any) -> Change:
    """All weights in another type."""
    return arrays(lambda found: {name: array.astype(kind) for name, array in found.items()})


def sharded(**placed: Any) -> Change:
    """Two files and an index, which places some weights elsewhere."""

    def change(folder: Path) -> None:
        found = load_file(folder / WEIGHTS)
        names = dict(zip(found, itertools.cycle(["model-1.safetensors", "model-2.safetensors"]), strict=False))
        for file in sorted(set(names.values())):
            save_file({n: found[n] for n in found if names[n] == file}, folder / file, {"format": "pt"})
        (folder / WEIGHTS).unlink()
        put(folder / INDEX, {"metadata": {}, "weight_map": names | placed})

    return change


def header(content: Any, data: bytes = b"") -> Change:
    """A safetensors file by hand."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return written(WEIGHTS, struct.pack("<Q", len(text)) + text + data)


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]
