"""Greedy match: how often the greedy text of a shipped file equals its reference, token for token."""

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras_hub
import numpy as np

from autocomplete.common.metrics import MetricValues
from autocomplete.common.native_log import quiet
from autocomplete.evaluate import keras_reference
from autocomplete.evaluate.mode_files import ModeFiles, ModelFiles
from autocomplete.graph import text_driver
from autocomplete.runtime import bytes_model, interpreters, logits, sessions, text_model, tokens_model
from autocomplete.tflite import flatbuffer, linker

_GREEDY = tokens_model.Sampling()
Load = Callable[[Path, int], Any]  # a file and a number of threads → an interpreter


def keras_continuations(files: ModelFiles, keras: keras_hub.models.CausalLM, prompts: Sequence[str]) -> list[list[int]]:
    """The ids that greedy decoding by Keras adds to prompts.

    The float32 core decodes, and one pass of Keras over the result checks each token. Where Keras chooses another, its
    token is taken, and the core goes on from there.
    """
    session = files.session(files.converted / "core.tflite")
    all_prompt_ids = [files.prompt_ids(p) for p in prompts]
    continuations = [continue_prompt(session, ids, files) for ids in all_prompt_ids]
    unchecked = list(range(len(prompts)))
    while unchecked:
        pairs = [all_prompt_ids[i] for i in unchecked], [continuations[i] for i in unchecked]
        expected = dict(zip(unchecked, keras_reference.likeliest_ids(keras, *pairs, files.suppressed), strict=True))
        unchecked = [i for i in unchecked if continuations[i] != expected[i]]
        for i in unchecked:
            pairs_of_ids = zip(continuations[i], expected[i], strict=True)
            first_wrong = next(place for place, (ours, theirs) in enumerate(pairs_of_ids) if ours != theirs)
            kept = expected[i][: first_wrong + 1]
            if kept[-1] not in files.model.end_token_ids:
                kept = [*kept, *continue_prompt(session, [*all_prompt_ids[i], *kept], files)]
            continuations[i] = kept
    return continuations


def match_core(mode: ModeFiles, prompts: Sequence[str], continuations: Sequence[Sequence[int]]) -> MetricValues:
    """The share of prompts that the core continues, by greedy decoding, as Keras does.

    One pass over prompt and continuation decides that, as in `keras_reference.greedy_matches`.
    """
    all_prompt_ids = [mode.prompt_ids(p) for p in prompts]
    read = logits.reader(mode.core, mode.all_signatures_core, np.array(all_prompt_ids[0], np.int32))
    matches = []
    for prompt_ids, ids in zip(all_prompt_ids, continuations, strict=True):
        rows = read(np.array([*prompt_ids, *ids], np.int32))[len(prompt_ids) - 1 : -1]
        matches.append(keras_reference.likeliest(rows, mode.suppressed).tolist() == list(ids))
    return {"greedy_match": float(np.mean(matches))}


def match_tokens(mode: ModeFiles, prompts: Sequence[str], continuations: Sequence[Sequence[int]]) -> MetricValues:
    """The share of prompts that the tokens model continues greedily as Keras does."""
    max_length = mode.conversion.sequence_length
    matches = []
    for prompt, ids in zip(prompts, continuations, strict=True):
        prompt_ids = mode.prompt_ids(prompt)
        matches.append(mode.generate(prompt_ids, max_length, _GREEDY)[len(prompt_ids) :] == list(ids))
    return {"tokens_greedy_match": float(np.mean(matches))}


def match_text(mode: ModeFiles, prompts: Sequence[str], continuations: Sequence[Sequence[int]]) -> MetricValues:
    """The share of prompts that the text model answers as its core decodes greedily; None without a text model.

    An answer that is Keras' counts at once. Where the shipped text model samples or completes words, a greedy driver is
    linked to its core instead.
    """
    if mode.text_core is None:
        return {"text_greedy_match": None}
    with tempfile.TemporaryDirectory() as temporary:
        path = _greedy_text_model(mode, Path(temporary))
        complete = text_model.interpreted(interpreters.tensorflow(path, mode.threads))
    decode = _decoder(mode, interpreters.tensorflow)
    matches = [
        complete(prompt.encode()) in (mode.text_answer(prompt, ids) for ids in _candidates(prompt, reference, decode))
        for prompt, reference in zip(prompts, continuations, strict=True)
    ]
    return {"text_greedy_match": float(np.mean(matches))}


def _decoder(mode: ModeFiles, load: Load) -> Callable[[str], list[int]]:
    """Greedy decoding of prompts by the core inside the text and portable models, step by step.

    It runs in the runtime of the model that it is compared with: kernels of another version round differently.
    """
    core = mode.text_core or mode.all_signatures_core  # as quantize links it
    session = functools.cache(lambda: sessions.StepSession(load(core, mode.threads)))
    return lambda prompt: continue_prompt(session(), mode.prompt_ids(prompt), mode)


def _candidates(prompt: str, reference: Sequence[int], decode: Callable[[str], list[int]]) -> Iterator[Sequence[int]]:
    """The continuations that are right: Keras', and then what the model's own core decodes, which takes longer."""
    yield reference
    yield decode(prompt)


def _greedy_text_model(mode: ModeFiles, folder: Path) -> Path:
    """The shipped text model where it is greedy and completes no words, else one like it that is and does not."""
    if mode.conversion.sampler == "greedy" and not mode.conversion.complete_word:
        return mode.shipped / "autocomplete.tflite"
    greedy = mode.conversion.model_copy(update={"sampler": "greedy", "complete_word": False})
    with quiet():
        driver = text_driver.convert_for(mode.preset, mode.model, greedy)
    assert mode.text_core is not None
    flatbuffer.write(linker.link(driver, flatbuffer.read(mode.text_core)), folder / "greedy.tflite")
    return folder / "greedy.tflite"


def match_portable(
    mode: ModeFiles, prompts: Sequence[str], continuations: Sequence[Sequence[int]], load: Load
) -> float | None:
    """The share of prompts that the portable model continues as its core decodes greedily, both in one runtime.

    None where there is no portable model, or where TF 2.18 cannot run the mode.
    """
    if not mode.portable.exists() or (mode.text_core is None and load is interpreters.tensorflow):
        return None
    proceed, decode = bytes_model.interpreted(load(mode.portable, mode.threads)), _decoder(mode, load)
    max_tokens = mode.conversion.sequence_length
    matches = [
        proceed(prompt.encode(), max_tokens, _GREEDY, False)
        in (mode.text_of(ids) for ids in _candidates(prompt, reference, decode))
        for prompt, reference in zip(prompts, continuations, strict=True)
    ]
    return float(np.mean(matches))


def continue_prompt(session: sessions.DecodeSession, prompt_ids: Sequence[int], files: ModelFiles) -> list[int]:
    """The ids that greedy decoding adds to a prompt.

    It leaves out suppressed ids, and ends with an end token (included) or at sequence_length tokens in all.
    """
    session.reset()
    session.prefill(np.array(prompt_ids[:-1], np.int32), session.chunks[0])
    ids = [prompt_ids[-1]]
    for _ in range(files.conversion.sequence_length - len(prompt_ids)):
        ids.append(int(keras_reference.likeliest(session.decode(ids[-1]), files.suppressed)))
        if ids[-1] in files.model.end_token_ids:
            break
    return ids[1:]
