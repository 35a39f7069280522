"""Runs a GGUF file in llama.cpp on the CPU, by its shared libraries, as near to float32 as it computes.

Usage: python llama_cpp.py LIBRARIES MODEL losses WINDOWS.npy OUT.npy
       python llama_cpp.py LIBRARIES MODEL logits WINDOWS.npy OUT.npy
       python llama_cpp.py LIBRARIES MODEL tokenize STRINGS.json OUT.json

WINDOWS are ids `[n, length]`; losses are `[n, length - 1]`, negative log-likelihoods of the ids after the first, and
logits `[n, length, vocabulary]`. No text becomes a special token, and none is added.

Numpy and the standard library only. The structs are those of llama.cpp 0.5.0 (include/llama.h), which are passed
by value: a library with other structs is refused.
"""

import ctypes
import json
import sys
from collections.abc import Iterator
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int, c_int8, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

THREADS = 1  # two threads wait in a busy loop: on a loaded machine they took three times as long
LONGEST = 256
F32, F16 = 0, 1  # of enum ggml_type
DISABLED, AUTO = 0, -1  # of enum llama_flash_attn_type


class ModelParams(ctypes.Structure):
    """struct llama_model_params."""

    _fields_ = (
        ("devices", c_void_p),
        ("tensor_buft_overrides", c_void_p),
        ("n_gpu_layers", c_int32),
        ("split_mode", c_int),
        ("load_mode", c_int),
        ("lazy_mode", c_int),
        ("main_gpu", c_int32),
        ("tensor_split", c_void_p),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
        ("kv_overrides", c_void_p),
        *((name, c_bool) for name in ("vocab_only", "check_tensors", "use_extra_bufts")),
        *((name, c_bool) for name in ("no_host", "no_alloc", "load_mtp")),
    )


class ContextParams(ctypes.Structure):
    """struct llama_context_params."""

    _fields_ = (
        *((name, c_uint32) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq", "n_outputs_max")),
        ("n_outputs_max_per_seq", c_uint32),
        ("n_threads", c_int32),
        ("n_threads_batch", c_int32),
        *((f"{name}_type", c_int) for name in ("ctx", "rope_scaling", "pooling", "attention", "flash_attn")),
        ("rope_freq_base", c_float),
        ("rope_freq_scale", c_float),
        *((f"yarn_{name}", c_float) for name in ("ext_factor", "attn_factor", "beta_fast", "beta_slow")),
        ("yarn_orig_ctx", c_uint32),
        ("defrag_thold", c_float),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("type_k", c_int),
        ("type_v", c_int),
        ("abort_callback", c_void_p),
        ("abort_callback_data", c_void_p),
        *((name, c_bool) for name in ("embeddings", "offload_kqv", "no_perf", "op_offload", "swa_full", "kv_unified")),
        ("samplers", c_void_p),
        ("n_samplers", c_size_t),
        ("ctx_other", c_void_p),
    )


class Batch(ctypes.Structure):
    """struct llama_batch."""

    _fields_ = (
        ("n_tokens", c_int32),
        ("token", POINTER(c_int32)),
        ("embd", POINTER(c_float)),
        ("pos", POINTER(c_int32)),
        ("n_seq_id", POINTER(c_int32)),
        ("seq_id", POINTER(POINTER(c_int32))),
        ("logits", POINTER(c_int8)),
    )


FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "llama_model_default_params": (ModelParams, []),
    "llama_context_default_params": (ContextParams, []),
    "llama_model_load_from_file": (c_void_p, [c_char_p, ModelParams]),
    "llama_init_from_model": (c_void_p, [c_void_p, ContextParams]),
    "llama_model_get_vocab": (c_void_p, [c_void_p]),
    "llama_vocab_n_tokens": (c_int32, [c_void_p]),
    "llama_get_memory": (c_void_p, [c_void_p]),
    "llama_memory_clear": (None, [c_void_p, c_bool]),
    "llama_decode": (c_int32, [c_void_p, Batch]),
    "llama_get_logits": (POINTER(c_float), [c_void_p]),
    "llama_tokenize": (c_int32, [c_void_p, c_char_p, c_int32, POINTER(c_int32), c_int32, c_bool, c_bool]),
}


def load_library(folder: Path) -> ctypes.CDLL:
    """llama.cpp with its code for this processor; libraries are found by name, whatever their version number."""
    names = [next(folder.glob(pattern)) for pattern in ("libggml-base.so", "libggml.*so", "libllama.*so")]
    _, backends, library = (ctypes.CDLL(str(name), mode=ctypes.RTLD_GLOBAL) for name in names)
    backends.ggml_backend_load_all_from_path(str(folder).encode())
    for name, (result, arguments) in FUNCTIONS.items():
        getattr(library, name).restype, getattr(library, name).argtypes = result, arguments
    defaults = library.llama_context_default_params()
    values = (
        defaults.n_ctx,
        defaults.n_batch,
        defaults.n_ubatch,
        defaults.flash_attn_type,
        defaults.type_k,
        defaults.type_v,
        defaults.n_samplers,
    )
    if values != (512, 2048, 512, AUTO, F16, F16, 0) or not library.llama_model_default_params().use_extra_bufts:
        raise SystemExit(f"the structs of {folder} are another version's: {values}")
    return library


class Session:
    """A loaded model; with `computes`, it has a KV cache in float32."""

    def __init__(self, library: ctypes.CDLL, path: Path, computes: bool) -> None:
        self._library = library
        params = library.llama_model_default_params()
        params.vocab_only = not computes
        model = library.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self._vocabulary = library.llama_model_get_vocab(model)
        if computes:
            context_params = library.llama_context_default_params()
            context_params.n_ctx = context_params.n_batch = context_params.n_ubatch = LONGEST
            context_params.n_threads = context_params.n_threads_batch = THREADS
            context_params.flash_attn_type, context_params.type_k, context_params.type_v = DISABLED, F32, F32
            self._context = library.llama_init_from_model(model, context_params)

    def logits(self, ids: np.ndarray) -> np.ndarray:
        """Logits `[length, vocabulary]`, after each of the ids of a new sequence."""
        count = len(ids)
        self._library.llama_memory_clear(self._library.llama_get_memory(self._context), True)
        numbers, flags, sequence = c_int32 * count, c_int8 * count, c_int32(0)
        sequences = (POINTER(c_int32) * count)(*[ctypes.pointer(sequence)] * count)
        batch = Batch(
            count, numbers(*ids), None, numbers(*range(count)), numbers(*[1] * count), sequences, flags(*[1] * count)
        )
        if self._library.llama_decode(self._context, batch):
            raise SystemExit("llama_decode failed")
        size = self._library.llama_vocab_n_tokens(self._vocabulary)
        return np.ctypeslib.as_array(self._library.llama_get_logits(self._context), (count, size)).copy()

    def tokenize(self, text: str) -> list[int]:
        """A text's ids."""
        data = text.encode()
        ids = (c_int32 * (2 * len(data) + 8))()
        count = self._library.llama_tokenize(self._vocabulary, data, len(data), ids, len(ids), False, False)
        if count < 0:
            raise SystemExit(f"llama_tokenize wants {-count} ids for {text!r}")
        return ids[:count]


def losses(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The negative log-likelihoods of the ids after the first."""
    logits = logits[:-1].astype(np.float64)
    maximum = logits.max(axis=-1, keepdims=True)
    total = maximum[:, 0] + np.log(np.exp(logits - maximum).sum(axis=-1))
    return total - logits[np.arange(len(logits)), ids[1:]]


def results(session: Session, command: str, windows: np.ndarray) -> Iterator[np.ndarray]:
    for ids in windows:
        logits = session.logits(ids)
        yield losses(logits, ids) if command == "losses" else logits


if __name__ == "__main__":
    libraries, path, command, source, out = sys.argv[1:]
    session = Session(load_library(Path(libraries)), Path(path), command != "tokenize")
    if command == "tokenize":
        Path(out).write_text(json.dumps([session.tokenize(t) for t in json.loads(Path(source).read_text())]))
    else:
        np.save(out, np.stack(list(results(session, command, np.load(source)))))
