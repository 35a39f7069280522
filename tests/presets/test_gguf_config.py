"""GGUF files that would give another model or another tokenizer are refused."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers import families, ggufs
from helpers.gguf_changes import again, fewer, keys, refused, tensor, token
from helpers.ggufs import ARCHITECTURES, File

# The name begins with the architecture (default: llama). Values: the change, and the message.
REFUSED: dict[str, tuple[Callable[[File], None], str]] = {
    "architecture": (keys(general__architecture="mamba"), r"general\.architecture is 'mamba'; allowed: llama, qwen2"),
    "adapter": (keys(general__type="adapter"), r"general\.type is 'adapter'; allowed: model"),
    "adapter's keys": (keys(adapter__type="lora"), r"adapter\.type is 'lora'; allowed: none: not an adapter, but a mo"),
    "shards": (keys(split__count=3), r"split\.count is 3; allowed: 0, 1"),
    "old types": (keys(general__quantization_version=1), r"quantization_version is 1; allowed: 2"),
    "name": (keys(general__name=7), r"general\.name is 7; allowed: a text"),
    "experts": (keys(expert_count=8), r"llama\.expert_count is 8; allowed: 0"),
    "yarn": (keys(rope__scaling__type="yarn"), r"llama\.rope\.scaling\.type is 'yarn'; allowed: none, linear"),
    "stretched": (keys(rope__scaling__factor=4.0), r"llama\.rope\.scaling\.factor is 4\.0; allowed: 1"),
    "partial": (keys(rope__dimension_count=4), r"llama\.rope\.dimension_count is 4; allowed: 8"),
    "values' heads": (keys(attention__value_length=4), r"llama\.attention\.value_length is 4; allowed: 8"),
    "scaled": (keys(residual_scale=0.5), r"llama\.residual_scale is 0\.5; allowed: none: this key is not supported"),
    "a key of two lines": (
        lambda file: file.metadata.update({"llama.x\nFAKE\x1b[31m": 1}),
        r"'llama\.x\\nFAKE\\x1b\[31m' is 1; allowed: none: this key is not supported",
    ),
    "window": (keys(attention__sliding_window=9), r"llama\.attention\.sliding_window is 9; allowed: none"),
    "not causal": (keys(attention__causal=False), r"llama\.attention\.causal is False; allowed: True"),
    "text": (keys(block_count="two"), r"llama\.block_count is 'two'; allowed: a whole number"),
    "truth": (keys(context_length=True), r"llama\.context_length is True; allowed: a whole number"),
    "fraction": (keys(embedding_length=32.0), r"llama\.embedding_length is 32\.0; allowed: a whole number"),
    "array": (keys(attention__head_count=[4, 4]), r"head_count is an array of 2 values; allowed: a whole number"),
    "missing": (keys(feed_forward_length=None), r"has no llama\.feed_forward_length; allowed: a whole number"),
    "no epsilon": (keys(attention__layer_norm_rms_epsilon=None), r"has no llama\.attention\.layer_norm_rms_epsilon"),
    "no number": (keys(rope__freq_base=math.nan), r"llama\.rope\.freq_base is nan; allowed: a finite number above 0"),
    "no heads": (keys(attention__head_count=0), r"llama\.attention\.head_count is 0; allowed: a finite number above 0"),
    "groups": (keys(attention__head_count_kv=3), r"head_count is 4, with head_count_kv 3 and embedding_length 32"),
    "heads": (keys(attention__head_count=5, attention__head_count_kv=5), r"head_count is 5, with head_count_kv 5 and"),
    "more heads": (keys(attention__head_count=64, attention__head_count_kv=64), r"head_count is 64, with"),
    "odd heads": (keys(attention__key_length=7), r"head_count is 4, .* allowed: a multiple of head_count_kv"),
    "other heads": (keys(attention__key_length=16), r"blk\.0\.attn_q\.weight has .*\(32, 32\); allowed .*\(64, 32\)"),
    "layers": (keys(block_count=4_000_000_000), r"llama\.block_count is 4000000000; allowed: at most 20, its tensors"),
    "gemma3 layers": (keys(block_count=4_000_000_000), r"gemma3\.block_count is 4000000000; allowed: at most 28"),
    "a layer more": (keys(block_count=3), r"has no tensor blk\.2\.self|has no tensor blk\.2\.attn_q\.weight, which a"),
    "a layer less": (keys(block_count=1), r"tensor 'blk\.1\.\w+\.weight' is none of a llama of 1 layers"),
    "no table": (tensor("token_embd.weight", None), r"has no tensor token_embd\.weight|vocab_size is 0"),
    "a tensor less": (tensor("blk.1.ffn_up.weight", None), r"has no tensor blk\.1\.ffn_up\.weight, which a llama of 2"),
    "a tensor more": (tensor("blk.0.ffn_gate_inp.weight", (4, 32)), r"'blk\.0\.ffn_gate_inp\.weight' is none of a ll"),
    "biases": (tensor("blk.0.attn_q.bias", (32,)), r"tensor 'blk\.0\.attn_q\.bias' is none of a llama of 2 layers"),
    "shape": (tensor("output_norm.weight", (31,)), r"output_norm\.weight has .*\(31,\); allowed by its keys: \(32,\)"),
    "turned": (tensor("blk.0.ffn_up.weight", (32, 96)), r"ffn_up\.weight has .*\(32, 96\); allowed .*\(96, 32\)"),
    "whole numbers": (tensor("output_norm.weight", (32,), np.int32), r"norm\.weight' is of the type I32; allowed:"),
    "positions": (tensor("rope_freqs.weight", (4,)), r"rope_freqs\.weight is not a known rope scaling; all"),
    "other positions": (tensor("rope_freqs.weight", (5,)), r"rope_freqs\.weight has .*\(5,\); allowed .*\(4,\)"),
    "qwen2 positions": (tensor("rope_freqs.weight", (4,)), r"'rope_freqs\.weight' is none of a qwen2 of 2 layers"),
    "qwen2 no biases": (tensor("blk.1.attn_v.bias", None), r"has no tensor blk\.1\.attn_v\.bias, which a qwen2 of"),
    "gpt2 length": (keys(context_length=64), r"position_embd\.weight has the shape \(96, 32\); allowed .*\(64, 32\)"),
    "gpt2 groups": (keys(attention__head_count_kv=2), r"gpt2\.attention\.head_count is 4, with head_count_kv 2 and"),
    "gpt2 head": (tensor("output.weight", (272, 32)), r"tensor output\.weight is not equal to token_embd\.weight; al"),
    "gpt2 epsilon": (keys(attention__layer_norm_epsilon=1e-6), r"layer_norm_epsilon is 1e-06; KerasHub's converter"),
    "gemma head": (tensor("output.weight", (272, 32)), r"tensor 'output\.weight' is none of a gemma of 2 layers; al"),
    "gemma epsilon": (keys(attention__layer_norm_rms_epsilon=1e-5), r"rms_norm_eps is 1e-05; KerasHub's converter"),
    "gemma3 window": (keys(attention__sliding_window=None), r"has no gemma3\.attention\.sliding_window; allowed: a"),
    "gemma3 pattern": (keys(attention__sliding_window_pattern=4), r"\.sliding_window_pattern is 4; allowed: 6"),
    "gemma3 near": (keys(rope__freq_base_swa=2e4), r"gemma3\.rope\.freq_base_swa is 20000\.0; allowed: 10000"),
    "gemma3 softcap": (keys(final_logit_softcapping=0.0), r"final_logit_softcapping is 0\.0; allowed: a finite number"),
    "kind of tokens": (token("model", "bert"), r"tokenizer\.ggml\.model is 'bert'; allowed: gpt2, llama"),
    "no tokens": (token("tokens", None), r"has no tokenizer\.ggml\.tokens; allowed: an array of texts"),
    "numbers": (token("tokens", [1, 2]), r"tokenizer\.ggml\.tokens is an array of 2 values; allowed: an array of"),
    "fewer tokens": (token("tokens", ["a"]), r"tokenizer\.ggml\.token_type has 272 values; allowed: 1, one for each"),
    "types": (again("token_type", 5, 9), r"tokenizer\.ggml\.token_type has the value 9; allowed: 1 to 6"),
    "twice": (again("tokens", 9, "!"), r"tokenizer\.ggml\.tokens has '!' twice; allowed: each token once"),
    "cut": (token("pre", "tekken"), r"tokenizer\.ggml\.pre is 'tekken'; allowed: default, gpt-2, .*smollm"),
    "no cut": (token("pre", None), r"has no tokenizer\.ggml\.pre; allowed: a text"),
    "blank": (token("add_space_prefix", True), r"add_space_prefix is true; allowed for a byte-level BPE: false"),
    "merge": (again("merges", 0, "Ġ q"), r"tokenizer\.ggml\.merges has 'Ġ q'; allowed: two tokens with a space betwe"),
    "one token": (again("merges", 0, "the"), r"tokenizer\.ggml\.merges has 'the'; allowed: two tokens"),
    "merge twice": (again("merges", 3, "Ġ t"), r"tokenizer\.ggml\.merges has 'Ġ t' twice; allowed: each pair once"),
    "no merges": (token("merges", None), r"has no tokenizer\.ggml\.merges"),
    "end": (token("eos_token_id", 5000), r"tokenizer\.ggml\.eos_token_id is 5000; allowed: the id of a token"),
    "filling end": (token("eos_token_id", 271), r"tokenizer\.ggml\.eos_token_id is 271; allowed: the id of a token"),
    "text as end": (token("eot_token_id", "<|im_end|>"), r"eot_token_id is '<\|im_end\|>'; allowed: a whole number"),
    "no start": (keys(tokenizer__ggml__pre="llama-bpe", tokenizer__ggml__bos_token_id=None), r"has no .*bos_token_id"),
    "rows": (fewer, r"tokenizer\.ggml\.tokens has 271 tokens; allowed: 272, the rows of token_embd\.weight"),
    "alignment": (keys(general__alignment=0), r"general\.alignment is 0; allowed: a finite number above 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_would_give_another_model_is_refused(name: str, tmp_path: Path) -> None:
    change, message = REFUSED[name]
    arch = name.split(" ")[0]
    file = ggufs.file(arch if arch in ARCHITECTURES else "llama")
    change(file)
    refused(file.write(tmp_path / "toy.gguf"), message)


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
def test_unsupported_sentencepiece_models_are_refused(name: str, tmp_path: Path) -> None:
    change, message = SENTENCEPIECE[name]
    file = ggufs.file(tokenizer=ggufs.sentencepiece(families.sentencepiece("<s>", "</s>")))
    change(file)
    refused(file.write(tmp_path / "toy.gguf"), message)
