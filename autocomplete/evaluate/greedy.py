"""Greedy match: how often the greedy text of a shipped file equals its reference, token for token."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras_hub
import numpy as np

from autocomplete.common.metrics import MetricValues
from autocomplete.common.native_log import quiet
from autocomplete.evaluate import keras_reference
from autocomplete.evaluate.mode_files import ModeFiles
from autocomplete.graph import sampler, text_driver
from autocomplete.runtime import bytes_model, interpreters, sessions, text_model, tokens_model
from autocomplete.tflite import flatbuffer, linker

_GREEDY = tokens_model.Sampling()


def match_keras(mode: ModeFiles, keras: keras_hub.models.CausalLM, prompts: Sequence[str]) -> MetricValues:
    """The shares of prompts that the core, and the tokens model, continue as greedy decoding by Keras does."""
    session, prompt_ids = mode.session(mode.core), [mode.prompt_ids(p) for p in prompts]
    max_length = mode.conversion.sequence_length
    continuations = {
        "greedy_match": [continue_prompt(session, ids, mode) for ids in prompt_ids],
        "tokens_greedy_match": [mode.generate(ids, max_length, _GREEDY)[len(ids) :] for ids in prompt_ids],
    }
    return {
        metric: float(np.mean(keras_reference.greedy_matches(keras, prompt_ids, ids, mode.suppressed)))
        for metric, ids in continuations.items()
    }


def match_text(mode: ModeFiles, prompts: Sequence[str], folder: Path) -> MetricValues:
    """The share of prompts that the text model answers as its core decodes greedily; None without a text model.

    Where the shipped text model samples or completes words, a greedy driver is linked to its core in `folder` instead.
    """
    if mode.text_core is None:
        return {"text_greedy_match": None}
    complete = text_model.interpreted(interpreters.tensorflow(_greedy_text_model(mode, folder), mode.threads))
    # The core runs in the same runtime: kernels of another version round differently.
    session = sessions.StepSession(interpreters.tensorflow(mode.text_core, mode.threads))
    matches = [
        complete(p.encode()) == mode.text_answer(p, continue_prompt(session, mode.prompt_ids(p), mode)) for p in prompts
    ]
    return {"text_greedy_match": float(np.mean(matches))}


def _greedy_text_model(mode: ModeFiles, folder: Path) -> Path:
    """The shipped text model where it is greedy and completes no words, else one like it that is and does not."""
    if mode.conversion.sampler == "greedy" and not mode.conversion.complete_word:
        return mode.shipped / "autocomplete.tflite"
    greedy = sampler.Sampler("greedy", 1, 1.0, 1.0, None, mode.suppressed)
    without_completion = mode.conversion.model_copy(update={"complete_word": False})
    with quiet():
        driver = text_driver.convert_for(mode.preset, mode.model, without_completion, greedy)
    assert mode.text_core is not None
    flatbuffer.write(linker.link(driver, flatbuffer.read(mode.text_core)), folder / "greedy.tflite")
    return folder / "greedy.tflite"


def match_portable(mode: ModeFiles, prompts: Sequence[str]) -> MetricValues:
    """The shares of prompts that the portable model continues as its core decodes greedily, in LiteRT and in TF 2.18.

    Both are None where there is no portable model; that of TF 2.18 also where it cannot run the mode.
    """
    values: MetricValues = dict.fromkeys(("portable_greedy_match", "portable_tf_greedy_match"))
    if mode.portable.exists():
        values["portable_greedy_match"] = _portable_share(mode, prompts, interpreters.litert)
        if mode.text_core is not None:
            values["portable_tf_greedy_match"] = _portable_share(mode, prompts, interpreters.tensorflow)
    return values


def _portable_share(mode: ModeFiles, prompts: Sequence[str], load: Callable[[Path, int], Any]) -> float:
    """The share of prompts in one runtime, which runs both the portable model and its core."""
    core = mode.text_core or mode.shipped / "parts/core.tflite"  # as quantize links it
    session = sessions.StepSession(load(core, mode.threads))
    proceed = bytes_model.interpreted(load(mode.portable, mode.threads))
    max_tokens = mode.conversion.sequence_length
    matches = [
        proceed(p.encode(), max_tokens, _GREEDY, False)
        == mode.text_of(continue_prompt(session, mode.prompt_ids(p), mode))
        for p in prompts
    ]
    return float(np.mean(matches))


def continue_prompt(session: sessions.DecodeSession, prompt_ids: Sequence[int], mode: ModeFiles) -> list[int]:
    """The ids that greedy decoding adds to a prompt.

    It leaves out suppressed ids, and ends with an end token (included) or at sequence_length tokens in all.
    """
    session.reset()
    session.prefill(np.array(prompt_ids[:-1], np.int32), session.chunks[0])
    ids = [prompt_ids[-1]]
    for _ in range(mode.conversion.sequence_length - len(prompt_ids)):
        ids.append(int(keras_reference.likeliest(session.decode(ids[-1]), mode.suppressed)))
        if ids[-1] in mode.model.end_token_ids:
            break
    return ids[1:]
