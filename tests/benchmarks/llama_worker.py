"""Runs a GGUF file in llama.cpp, one round of measurements for each line of standard input.

Usage: python llama_worker.py FILE THREADS

The protocol is protocol.py's.
"""

import ctypes
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import llama_cpp
import numpy as np
from protocol import LENGTH, PROMPT, prompt_ids, serve

# kept alive here: llama.cpp stores only the pointer
QUIET = llama_cpp.llama_log_callback(lambda level, text, data: None)


class Session(NamedTuple):
    """A loaded model with its KV cache."""

    context: int
    memory: int
    vocabulary: int

    def next_token(self, tokens: Sequence[int]) -> int:
        """The likeliest token after the cached ones and these, which it adds to the cache."""
        ids = (llama_cpp.llama_token * len(tokens))(*tokens)
        if llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(ids, len(ids))):
            raise RuntimeError("llama_decode failed")
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        # 0.01 ms a token, reading llama.cpp's own memory
        return int(np.ctypeslib.as_array(logits, (self.vocabulary,)).argmax())

    def prefill(self, length: int) -> int:
        """The likeliest token after a prompt of fixed, arbitrary ids."""
        llama_cpp.llama_memory_clear(self.memory, True)
        return self.next_token(prompt_ids(length, self.vocabulary))


def load(path: str, threads: int) -> Session:
    llama_cpp.llama_log_set(QUIET, ctypes.c_void_p())
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise RuntimeError(f"llama.cpp cannot load {path}")
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch = 256, 512
    params.n_threads = params.n_threads_batch = threads
    # The faster choice: with it, on two cores of Zen 4, Q8_0 decoded 123 tokens/s by one thread and 150 by two, without
    # it 102 and 135; a prompt of 64 tokens took 124 and 83 ms, without it 154 and 99 ms. Q4_0 gains likewise.
    params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
    context = llama_cpp.llama_init_from_model(model, params)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    return Session(context, llama_cpp.llama_get_memory(context), vocabulary)


def first_token_ms(session: Session, length: int) -> float:
    started = time.perf_counter()
    session.prefill(length)
    return 1000 * (time.perf_counter() - started)


def measure(session: Session) -> dict[str, float]:
    """Measures one round. The loop ignores end tokens, so every round does the same work."""
    report = {f"ttft_{length}_ms": first_token_ms(session, length) for length in (16, 64)}
    started = time.perf_counter()
    token = session.prefill(PROMPT)
    prefilled = time.perf_counter()
    for _ in range(PROMPT + 1, LENGTH):  # the prompt gave the first token
        token = session.next_token([token])
    finished = time.perf_counter()
    session.next_token([token])
    decoded = time.perf_counter() - prefilled
    return report | {"decode_tokens_per_s": (LENGTH - PROMPT) / decoded, "seconds_100": finished - started}


if __name__ == "__main__":
    path, threads = sys.argv[1], int(sys.argv[2])
    serve(lambda: load(path, threads), measure)
