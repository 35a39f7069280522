"""Writes toys of transformers' models as Hugging Face folders, their logits, and their tokens of given strings.

Usage: python transformers_toys.py OUT GIVEN

GIVEN is JSON: `training`, the texts that tokenizers learn from, and `strings`. For each toy OUT gets the folder TOY as
save_pretrained writes it, TOY.npz (`ids`, `logits` in float32) and TOY.json (ids of the strings: `plain` and `whole`,
without and with the special tokens that the tokenizer adds).

It runs in an environment of its own, without this project.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer
from toy_tokenizers import Texts, gemma, gpt2, llama2, llama3, metaspace, qwen, smollm

LENGTH, WINDOW = 40, 11  # tokens of the text, and of a sliding window


@dataclass(frozen=True)
class Toy:
    """A model_type, its tokenizer, and the keys that its configuration has in addition to the common ones.

    `padding` rows of the embedding have no token, as Qwen's; `ends` are the tokens of generation_config.json.
    """

    kind: str
    tokenizer: Callable[[Texts], Tokenizer]
    start: str | None
    ends: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)
    padding: int = 0
    dtype: torch.dtype = torch.float32
    shard: str = "5GB"


LLAMA3_ENDS = ("<|end_of_text|>", "<|eot_id|>")
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 50_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
GEMMA2 = {
    "num_hidden_layers": 3,
    "head_dim": 12,
    "sliding_window": WINDOW,
    "attn_logit_softcapping": 5.0,
    "final_logit_softcapping": 8.0,
    "query_pre_attn_scalar": 12,
}
GEMMA3 = {
    "num_hidden_layers": 7,
    "head_dim": 12,
    "sliding_window": WINDOW,
    "query_pre_attn_scalar": 12,
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    },
}
TOYS = {
    "gpt2": Toy("gpt2", gpt2, "<|endoftext|>", ("<|endoftext|>",)),
    "llama": Toy("llama", llama3, "<|begin_of_text|>", LLAMA3_ENDS, {"rope_parameters": LLAMA3_ROPE}, shard="30KB"),
    "llama_tied": Toy(
        "llama",
        smollm,
        "<|im_start|>",
        ("<|im_end|>",),
        {"tie_word_embeddings": True},
        dtype=torch.bfloat16,
    ),
    "llama2": Toy("llama", llama2, "<s>", ("</s>",)),
    "llama2_metaspace": Toy("llama", metaspace, "<s>", ("</s>",), dtype=torch.float16),
    "mistral": Toy("mistral", llama2, "<s>", ("</s>",), {"head_dim": 12, "sliding_window": WINDOW}),
    "qwen2": Toy("qwen2", qwen, None, ("<|im_end|>", "<|endoftext|>"), {"tie_word_embeddings": False}, padding=9),
    "qwen3": Toy("qwen3", qwen, None, ("<|im_end|>", "<|endoftext|>"), {"head_dim": 12}, padding=9),
    "gemma": Toy("gemma", gemma, "<bos>", ("<eos>",), {"head_dim": 12}),
    "gemma2": Toy("gemma2", gemma, "<bos>", ("<eos>",), GEMMA2, dtype=torch.bfloat16),
    "gemma3_text": Toy("gemma3_text", gemma, "<bos>", ("<eos>",), GEMMA3),
}


def config(toy: Toy, text: Tokenizer) -> Any:
    """The toy's configuration, with the ids of its tokens."""
    size = text.get_vocab_size() + toy.padding
    ids = {"eos_token_id": text.token_to_id(toy.ends[0])}
    ids["bos_token_id"] = ids["eos_token_id"] if toy.start is None else text.token_to_id(toy.start)
    if toy.kind == "gpt2":
        return transformers.GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=96, **ids)
    common: dict[str, Any] = {
        "vocab_size": size,
        "hidden_size": 32,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 96,
        "pad_token_id": None,
    }
    if "gemma" not in toy.kind:  # not the defaults of transformers and Keras
        common |= {"rms_norm_eps": 1e-3, "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0}}
    return transformers.AutoConfig.for_model(toy.kind, **common | ids | toy.config)


def model(toy: Toy, text: Tokenizer) -> Any:
    """The toy with random weights, norms and biases too: values of 0 or 1 would hide a mistake."""
    causal_lm = transformers.AutoModelForCausalLM.from_config(config(toy, text), attn_implementation="eager")
    torch.manual_seed(7)
    with torch.no_grad():
        for name, weight in causal_lm.named_parameters():
            scale = ("norm" in name or ".ln_" in name) and name.endswith("weight") and "gemma" not in toy.kind
            weight.normal_(1.0 if scale else 0.0, 0.25)
    causal_lm.generation_config.eos_token_id = [text.token_to_id(end) for end in toy.ends]
    return causal_lm.to(toy.dtype)


def write(name: str, training: Texts, strings: Texts, out: Path) -> None:
    """One toy's folder, logits and tokens."""
    toy = TOYS[name]
    text = toy.tokenizer(training)
    model(toy, text).save_pretrained(out / name, max_shard_size=toy.shard)
    unknown_token = {"unk_token": "<unk>"} if text.token_to_id("<unk>") is not None else {}
    saved = transformers.PreTrainedTokenizerFast(
        tokenizer_object=text, bos_token=toy.start, eos_token=toy.ends[0], model_max_length=96, **unknown_token
    )
    saved.save_pretrained(out / name)
    ids = np.random.default_rng(3).integers(3, text.get_vocab_size(), LENGTH)
    loaded_model = transformers.AutoModelForCausalLM.from_pretrained(
        out / name, dtype=torch.float32, attn_implementation="eager"
    )
    with torch.no_grad():
        logits = loaded_model.eval()(torch.tensor(ids[None])).logits[0].numpy()
    np.savez(out / f"{name}.npz", ids=ids.astype(np.int32), logits=logits[:, : text.get_vocab_size()])
    loaded = transformers.AutoTokenizer.from_pretrained(out / name)
    ids_by_kind = {
        kind: loaded(list(strings), add_special_tokens=adds, split_special_tokens=True)["input_ids"]
        for kind, adds in (("plain", False), ("whole", True))
    }  # as everywhere in this project, no text becomes a special token
    (out / f"{name}.json").write_text(json.dumps(ids_by_kind))


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    inputs = json.loads(Path(sys.argv[2]).read_text())
    for name in TOYS:
        write(name, inputs["training"], inputs["strings"], Path(sys.argv[1]))
