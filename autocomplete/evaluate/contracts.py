"""Contracts: the rules that apps need of the text model and of the portable model, checked by running the files."""

from collections.abc import Sequence
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.artifacts import Targets
from autocomplete.evaluate.mode_files import ModeFiles
from autocomplete.runtime import bytes_model, interpreters, text_model, tokens_model
from autocomplete.tflite import edit, flatbuffer, inspect, signatures

# The Android demo app's buffer (800 bytes) less the header of a string tensor with one string: a count and two offsets,
# int32 each.
MAX_ANSWER_BYTES = 788

# Prompts that a user or another app may give, by what is hard about them.
HOSTILE_PROMPTS = {
    "empty": b"",
    "one blank": b" ",
    "10,000 characters": b"word " * 2000,
    "one long word": b"a" * 780,
    "emoji": "👍🏽 👩‍👩‍👧‍👦 🇩🇪 ".encode() * 4,
    "right-to-left": "שלום עולם، مرحبا بالعالم".encode(),
    "invalid UTF-8": b"\xff\xfe\x80 abc \xc3",
    "NUL": b"a\x00b\x00",
    "only the end-of-text mark": b"<|endoftext|>",
    "788 bytes": b"x y " * 197,
    "789 bytes": b"x y " * 197 + b"z",
}

_PORTABLE_INPUTS = {
    "prompt": "uint8",
    "prompt_length": "int32",
    "max_tokens": "int32",
    "temperature": "float32",
    "top_k": "int32",
    "top_p": "float32",
    "seed": "int32",
    "complete_word": "int32",
}
_PORTABLE_OUTPUTS = {"text": "uint8", "text_length": "int32"}
_PROMPTS = 10  # ordinary ones that the rules are tried on, beside the hostile ones
_MAX_TOKENS = 24  # of an answer of the portable model
_GREEDY, _DRAWN = tokens_model.Sampling(), tokens_model.Sampling(1.0, 0, 1.0, seed=1)


def check_android(mode: ModeFiles, prompts: Sequence[str], fits: Targets) -> dict[str, bool] | None:
    """Whether the shipped text model keeps each rule of the Android demo app; None for a mode without a text model.

    Args:
      mode: the shipped files.
      prompts: ordinary beginnings of texts.
      fits: what `targets.check` says of each file.
    """
    if mode.text_core is None:
        return None
    path, samples = mode.shipped / "autocomplete.tflite", mode.conversion.sampler != "greedy"
    rules = android_answers(mode.complete, [p.encode() for p in prompts[:_PROMPTS]], samples) | android_interface(path)
    return rules | {"fits_tflite_2_12": fits[path.name]["android_demo"].fits}


def android_answers(complete: text_model.Complete, prompts: Sequence[bytes], samples: bool) -> dict[str, bool]:
    """Whether the answers of a text model keep each rule of the Android demo app, by the rule's name.

    Args:
      complete: the model.
      prompts: ordinary beginnings of texts.
      samples: whether the model draws its tokens, so that the app's retry can give another answer.
    """
    answers = {p: complete(p) for p in [*prompts, *HOSTILE_PROMPTS.values()]}
    rules = {
        "answer_begins_with_prompt": all(a.startswith(p) for p, a in answers.items()),
        "fits_the_buffer": all(len(a) <= MAX_ANSWER_BYTES for p, a in answers.items() if len(p) <= MAX_ANSWER_BYTES),
        "long_prompt_returns_itself": all(a == p for p, a in answers.items() if len(p) > MAX_ANSWER_BYTES),
        "new_text_is_utf8": all(is_utf8(a[len(p) :]) for p, a in answers.items()),
        "suggests_words": sum(bool(answers[p][len(p) :].split()) for p in prompts) > len(prompts) / 2,
    }
    if samples:
        rules["retry_differs"] = any(complete(p) != answers[p] for p in prompts)
    return rules


def android_interface(path: Path) -> dict[str, bool]:
    """Whether a file has the interface that the Android demo app calls: one string in, one string out."""
    model = flatbuffer.read(path)
    serving = [s for s in model.signatureDefs or [] if edit.text(s.signatureKey) == "serving_default"]
    subgraph = model.subgraphs[serving[0].subgraphIndex] if serving else model.subgraphs[0]
    ends = [*subgraph.inputs, *subgraph.outputs]
    return {
        "signature_serving_default": len(serving) == 1,
        "input_named_prompt": bool(serving) and [edit.text(e.name) for e in serving[0].inputs] == ["prompt"],
        "one_string_in_one_out": [subgraph.tensors[i].type for i in ends] == [schema.TensorType.STRING] * 2,
    }


def check_portable(mode: ModeFiles, prompts: Sequence[str]) -> dict[str, bool] | None:
    """Whether the shipped portable model keeps each rule, by the rule's name; None where there is no such model."""
    if not mode.portable.exists():
        return None
    proceed = bytes_model.interpreted(interpreters.litert(mode.portable, mode.threads))
    return portable_answers(proceed, [p.encode() for p in prompts[:_PROMPTS]]) | portable_interface(mode.portable)


def portable_answers(proceed: bytes_model.Continue, prompts: Sequence[bytes]) -> dict[str, bool]:
    """Whether the answers of a portable model keep each rule: any bytes may come in, whole characters alone come out.

    `prompts` are ordinary beginnings of texts, whole characters.
    """
    all_prompts = [*prompts, *HOSTILE_PROMPTS.values()]
    answers = [
        proceed(p, _MAX_TOKENS, sampling, complete_word)
        for p in all_prompts
        for sampling in (_GREEDY, _DRAWN)
        for complete_word in (False, True)
    ]
    no_tokens = [proceed(p, 0, _GREEDY, complete_word) for p in all_prompts for complete_word in (False, True)]
    suggestions = [proceed(p, _MAX_TOKENS, _GREEDY, False) for p in prompts]
    within_words = [p[:-2] for p in prompts if p[-3:].isalpha()]
    return {
        "new_text_is_utf8": all(map(is_utf8, answers)),
        "no_tokens_no_text": not any(no_tokens),
        "suggests_words": sum(bool(s.split()) for s in suggestions) > len(prompts) / 2,
        "completes_words": all(proceed(p, _MAX_TOKENS, _GREEDY, True) for p in within_words),
        "seed_repeats": all(proceed(p, 8, _DRAWN, True) == proceed(p, 8, _DRAWN, True) for p in prompts[:4]),
    }


def portable_interface(path: Path) -> dict[str, bool]:
    """Whether a file has the interface that apps call, and only operators that are built into every runtime."""
    described = inspect.describe(path)
    signature = described.signatures.get(signatures.GENERATE)
    sides = (signature.inputs, signature.outputs) if signature is not None else ()
    types = [{name: tensor.type for name, tensor in side.items()} for side in sides]
    return {
        "signature_generate": types == [_PORTABLE_INPUTS, _PORTABLE_OUTPUTS],
        "built_in_operators": not described.select_tf_operators and not described.custom_operators,
    }


def is_utf8(text: bytes) -> bool:
    """Whether bytes are whole characters of UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
