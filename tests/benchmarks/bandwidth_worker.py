"""Measures memory bandwidth, the limit of decoding token by token; one round per line of standard input.

Usage: python bandwidth_worker.py THREADS

A decoder reads every weight for every token, so that bytes of weights / bandwidth is a token's least time.
A round gives {"gb_per_s"}, 10^9 bytes a second; the protocol is protocol.py's.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # this script has its own threads; read when NumPy is imported

import numpy as np
from protocol import serve

BUFFER = 512 << 20  # bytes, much larger than any cache
PASSES = 8  # per round: the fastest pass counts, since other processes can only slow a pass down


def gb_per_s(pool: ThreadPoolExecutor, parts: list[np.ndarray]) -> float:
    """One pass, a part for each thread.

    Of NumPy's functions that release the lock and read their input once, the dot product with itself is the fastest:
    33 GB/s by one thread of Zen 4, where OR and the sum of int64 reach 32, the maximum and the sum of float32 24, and
    a loop in C built by gcc -O3 -march=native 31.
    """
    started = time.perf_counter()
    list(pool.map(np.dot, parts, parts))
    return sum(p.nbytes for p in parts) / (time.perf_counter() - started) / 1e9


def buffer(threads: int) -> list[np.ndarray]:
    # ones: the pages of a buffer of zeros would all be the kernel's one page of zeros
    return np.array_split(np.ones(BUFFER // 4, np.float32), threads)


def measure(parts: list[np.ndarray]) -> dict[str, float]:
    with ThreadPoolExecutor(len(parts)) as pool:
        return {"gb_per_s": max(gb_per_s(pool, parts) for _ in range(PASSES))}


if __name__ == "__main__":
    threads = int(sys.argv[1])
    serve(lambda: buffer(threads), measure)
