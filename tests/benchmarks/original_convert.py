"""Converts a GPT-2 base shape with random weights as Google's codelab on KerasNLP and TFLite does.

Usage: python original_convert.py VOCABULARY_JSON MERGES_TXT OUT.tflite

Runs in TF 2.12.1, tensorflow-text 2.12.1 and keras-nlp 0.5.2, the last versions in which the recipe worked. Takes
minutes and some 8 GB. The last line on standard output is JSON: time, peak memory, size of the file, versions.
"""

import json
import os
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import keras_nlp
import tensorflow as tf
import tensorflow_text

MAX_LENGTH = 100


def gpt2_base(vocabulary: str, merges: str) -> Any:
    """GPT-2 base with the text to tokens step before it and the text from tokens step after it."""
    tf.keras.utils.set_random_seed(1)
    backbone = keras_nlp.models.GPT2Backbone(
        vocabulary_size=50257,
        num_layers=12,
        num_heads=12,
        hidden_dim=768,
        intermediate_dim=3072,
        max_sequence_length=1024,
    )
    tokenizer = keras_nlp.models.GPT2Tokenizer(vocabulary=vocabulary, merges=merges)
    preprocessor = keras_nlp.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=MAX_LENGTH)
    gpt2_lm = keras_nlp.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)
    # generate converts its answer to a Python str, which a graph cannot do: here the answer stays a tensor. The rest of
    # generate is keras-nlp's own.
    gpt2_lm._normalize_generate_outputs = lambda outputs, input_is_scalar: tf.squeeze(tf.concat(outputs, 0), 0)
    return gpt2_lm


def convert(gpt2_lm: Any) -> bytes:
    """The codelab's conversion, with dynamic range quantization."""

    @tf.function
    def generate(prompt: Any, max_length: int) -> Any:
        return gpt2_lm.generate(prompt, max_length)

    concrete_func = generate.get_concrete_function(tf.TensorSpec([], tf.string), MAX_LENGTH)
    gpt2_lm.jit_compile = False
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete_func], gpt2_lm)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    converter.allow_custom_ops = True
    converter.target_spec.experimental_select_user_tf_ops = ["UnsortedSegmentJoin", "UpperBound"]
    converter._experimental_guarantee_all_funcs_one_use = True
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def main(vocabulary: str, merges: str, out: str) -> None:
    gpt2_lm = gpt2_base(vocabulary, merges)
    started = time.perf_counter()
    size = Path(out).write_bytes(convert(gpt2_lm))
    report = {
        "convert_s": round(time.perf_counter() - started, 1),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "size_bytes": size,
        "parameters": gpt2_lm.count_params(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "tensorflow_text": tensorflow_text.__version__,
        "keras_nlp": keras_nlp.__version__,
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
