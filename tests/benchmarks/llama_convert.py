"""Writes a GPT-2 base shape with random weights as GGUF, the file format of llama.cpp.

Usage: python llama_convert.py OUT.gguf Q8_0|Q4_0|F32|F16 VOCABULARY_JSON MERGES_TXT

Every matrix has the given type, the token embedding too, which is also the output head; position embedding, norms and
biases are F32. The last line on standard output is JSON: time, peak memory, size of the file.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

LAYERS, HEADS, HIDDEN, FEED_FORWARD, VOCABULARY, CONTEXT = 12, 12, 768, 3072, 50257, 1024
MATRICES = {  # of a layer, as [out, in]
    "attn_qkv": (3 * HIDDEN, HIDDEN),
    "attn_output": (HIDDEN, HIDDEN),
    "ffn_up": (FEED_FORWARD, HIDDEN),
    "ffn_down": (HIDDEN, FEED_FORWARD),
}


def vectors() -> Iterator[str]:
    """Every norm, whose scale and shift are F32."""
    yield "output_norm"
    for layer in range(LAYERS):
        yield from (f"blk.{layer}.attn_norm", f"blk.{layer}.ffn_norm")


def add_weights(writer: gguf.GGUFWriter, kind: gguf.GGMLQuantizationType) -> None:
    random = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        return random.normal(scale=0.02, size=shape).astype(np.float32)

    def matrix(name: str, *shape: int) -> None:
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(normal(*shape), kind), raw_dtype=kind)

    matrix("token_embd", VOCABULARY, HIDDEN)
    writer.add_tensor("position_embd.weight", normal(CONTEXT, HIDDEN))
    for name in vectors():
        writer.add_tensor(f"{name}.weight", np.ones(HIDDEN, np.float32))
        writer.add_tensor(f"{name}.bias", normal(HIDDEN))
    for layer in range(LAYERS):
        for part, (rows, columns) in MATRICES.items():
            matrix(f"blk.{layer}.{part}", rows, columns)
            writer.add_tensor(f"blk.{layer}.{part}.bias", normal(rows))


def add_tokenizer(writer: gguf.GGUFWriter, vocabulary: Path, merges: Path) -> None:
    ids: dict[str, int] = json.loads(vocabulary.read_text("utf-8"))
    tokens = sorted(ids, key=ids.__getitem__)
    end = ids["<|endoftext|>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    kinds = [gguf.TokenType.CONTROL if token == end else gguf.TokenType.NORMAL for token in range(len(tokens))]
    writer.add_token_types(kinds)
    lines = merges.read_text("utf-8").splitlines()
    writer.add_token_merges([line for line in lines if line and not line.startswith("#version")])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)


def write(out: Path, kind: str, vocabulary: Path, merges: Path) -> None:
    writer = gguf.GGUFWriter(out, "gpt2")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType[f"ALL_{kind}" if kind == "F32" else f"MOSTLY_{kind}"])
    add_tokenizer(writer, vocabulary, merges)
    add_weights(writer, gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(out: str, kind: str, vocabulary: str, merges: str) -> None:
    started = time.perf_counter()
    write(Path(out), kind, Path(vocabulary), Path(merges))
    report = {
        "convert_s": round(time.perf_counter() - started, 1),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "size_bytes": Path(out).stat().st_size,
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
