"""Runs models as the Android demo app's runtime does; started by test_android_runtime.py in TF 2.12.1.

Reads from standard input {"models": paths, "prompts": [hex], "cores": paths, "tokens": ids};
writes {"texts": answers in hex by model, "logits": after the last token by core}.
"""

import json
import sys

import numpy as np
import tensorflow_text as tf_text
from tensorflow.lite.python import interpreter

MASKED = np.float32(-0.7 * np.finfo(np.float32).max)


def load(path: str) -> interpreter.Interpreter:
    return interpreter.InterpreterWithCustomOps(
        model_path=path, custom_op_registerers=tf_text.tflite_registrar.SELECT_TFTEXT_OPS
    )


def texts(path: str, prompts: list[str]) -> list[str]:
    call = load(path).get_signature_runner("serving_default")
    return [call(prompt=np.array([bytes.fromhex(p)], dtype=object))["text"].item().hex() for p in prompts]


def logits(path: str, tokens: list[int]) -> list[float]:
    call = load(path).get_signature_runner("decode")
    details = call.get_input_details()
    state = {n: np.zeros(d["shape"], np.float32) for n, d in details.items() if n.startswith("kv_cache")}
    for position, token in enumerate(tokens):
        slots = np.arange(details["mask"]["shape"][-1])
        mask = np.where(slots <= position, np.float32(0), MASKED)[None, None, None]
        out = call(tokens=np.array([[token]], np.int32), input_pos=np.array([position], np.int32), mask=mask, **state)
        state = {n: out[n] for n in state}
    return out["logits"].reshape(-1).tolist()


request = json.load(sys.stdin)
result = {
    "texts": {m: texts(m, request["prompts"]) for m in request["models"]},
    "logits": {c: logits(c, request["tokens"]) for c in request["cores"]},
}
print(json.dumps(result))
