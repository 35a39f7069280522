"""The rules for portable.tflite, checked by running it: any bytes may come in, whole characters alone come out."""

from collections.abc import Sequence
from pathlib import Path

from autocomplete.evaluate.contracts import HOSTILE, is_utf8
from autocomplete.runtime import tokens_model
from autocomplete.runtime.bytes_model import Continue
from autocomplete.tflite import inspect, signatures

_INPUTS = {
    "prompt": "uint8",
    "prompt_length": "int32",
    "max_tokens": "int32",
    "temperature": "float32",
    "top_k": "int32",
    "top_p": "float32",
    "seed": "int32",
    "complete_word": "int32",
}
_OUTPUTS = {"text": "uint8", "text_length": "int32"}
_TOKENS = 24
_GREEDY = tokens_model.Sampling()


def check(proceed: Continue, prompts: Sequence[bytes]) -> dict[str, bool]:
    """Whether a model keeps each rule, by name; `prompts` are ordinary beginnings of texts, whole characters."""
    given = [*prompts, *HOSTILE.values()]
    drawn = tokens_model.Sampling(1.0, 0, 1.0, seed=1)
    said = [proceed(p, _TOKENS, how, word) for p in given for how in (_GREEDY, drawn) for word in (False, True)]
    cut = [p[:-2] for p in prompts if p[-3:].isalpha()]  # inside a word
    return {
        "new_text_is_utf8": all(map(is_utf8, said)),
        "no_tokens_no_text": not any(proceed(p, 0, _GREEDY, word) for p in given for word in (False, True)),
        "suggests_words": sum(bool(proceed(p, _TOKENS, _GREEDY, False).split()) for p in prompts) > len(prompts) / 2,
        "completes_words": all(proceed(p, _TOKENS, _GREEDY, True) for p in cut),
        "seed_repeats": all(proceed(p, 8, drawn, True) == proceed(p, 8, drawn, True) for p in prompts[:4]),
    }


def interface(path: Path) -> dict[str, bool]:
    """Whether the file's outside is what apps call, in operators that are built into every runtime."""
    described = inspect.describe(path)
    signature = described.signatures.get(signatures.GENERATE)
    sides = (signature.inputs, signature.outputs) if signature is not None else ()
    types = [{name: tensor.type for name, tensor in side.items()} for side in sides]
    return {
        "signature_generate": types == [_INPUTS, _OUTPUTS],
        "built_in_operators": not described.select_tf_operators and not described.custom_operators,
    }
