"""Logits of a GGUF file's model in transformers, computed in float32.

Usage: python transformers_gguf.py MODEL.gguf WINDOWS.npy OUT.npy

WINDOWS are ids `[n, length]`, OUT is `[n, length, vocabulary]`. It runs in an environment of its own, without this
project.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import transformers


def logits(path: Path, windows: np.ndarray) -> np.ndarray:
    model = transformers.AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    )
    with torch.no_grad():
        return model.eval()(torch.tensor(windows.astype(np.int64))).logits.numpy()


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # other tests run at the same time
    np.save(sys.argv[3], logits(Path(sys.argv[1]), np.load(sys.argv[2])))
