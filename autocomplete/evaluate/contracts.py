"""The rules that the public Android demo app sets for a text model, checked by running the model."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from autocomplete.tflite import edit, flatbuffer

# The app's buffer (800 bytes) less the header of a string tensor with one string: a count and two offsets, int32 each.
MAX_BYTES = 788

HOSTILE = {
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


def check(complete: Callable[[bytes], bytes], prompts: Sequence[bytes], samples: bool) -> dict[str, bool]:
    """Whether a model keeps each rule, by name.

    Args:
      complete: the model, from prompt to answer.
      prompts: ordinary beginnings of texts.
      samples: whether the model draws its tokens, so that the app's retry can give another answer.
    """
    answers = {p: complete(p) for p in [*prompts, *HOSTILE.values()]}
    short = {p: a for p, a in answers.items() if len(p) <= MAX_BYTES}
    rules = {
        "answer_begins_with_prompt": all(a.startswith(p) for p, a in answers.items()),
        "fits_the_buffer": all(len(a) <= MAX_BYTES for a in short.values()),
        "long_prompt_returns_itself": all(a == p for p, a in answers.items() if len(p) > MAX_BYTES),
        "new_text_is_utf8": all(is_utf8(a[len(p) :]) for p, a in answers.items()),
        "suggests_words": sum(bool(answers[p][len(p) :].split()) for p in prompts) > len(prompts) / 2,
    }
    if samples:
        rules["retry_differs"] = any(complete(p) != answers[p] for p in prompts)
    return rules


def interface(path: Path) -> dict[str, bool]:
    """Whether the file's outside is what the app calls: one string in, one string out."""
    model = flatbuffer.read(path)
    found = [s for s in model.signatureDefs or [] if edit.text(s.signatureKey) == "serving_default"]
    subgraph = model.subgraphs[found[0].subgraphIndex] if found else model.subgraphs[0]
    ends = [*subgraph.inputs, *subgraph.outputs]
    return {
        "signature_serving_default": len(found) == 1,
        "input_named_prompt": bool(found) and [edit.text(e.name) for e in found[0].inputs] == ["prompt"],
        "one_string_in_one_out": [subgraph.tensors[i].type for i in ends] == [schema.TensorType.STRING] * 2,
    }


def is_utf8(text: bytes) -> bool:
    """Whether bytes are whole characters of UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
