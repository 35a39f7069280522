"""Greedy decoding by KerasHub, the reference for this project's own."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from autocomplete.common.native_log import quiet
from helpers.toys import Toy


def keras_greedy(toy: Toy, ids: list[int], length: int, suppressed: Sequence[int] = ()) -> list[int]:
    """Greedy decoding by KerasHub's own generate(), the end token included, without the suppressed ids."""
    tokens = np.zeros((1, length), np.int32)
    tokens[0, : len(ids)] = ids
    mask = (np.arange(length) < len(ids))[None]
    end = toy.end
    with quiet():
        outputs = _generating(toy.model, tuple(suppressed))(
            {"token_ids": tokens, "padding_mask": mask}, stop_token_ids=[end]
        )
    answer = np.asarray(outputs["token_ids"])[0][np.asarray(outputs["padding_mask"])[0].astype(bool)][
        len(ids) :
    ].tolist()
    return answer[: answer.index(end) + 1] if end in answer else answer


@functools.cache
def _generating(model: Any, suppressed: tuple[int, ...]) -> Any:
    """The function inside generate(), which without a preprocessor fails on what Gemma 3's returns; traced once."""
    from keras_hub.samplers import GreedySampler

    class Sampler(GreedySampler):
        def get_next_token(self, probabilities: Any) -> Any:
            return super().get_next_token(probabilities * ~np.isin(np.arange(probabilities.shape[-1]), suppressed))

    bare = type(model)(backbone=model.backbone, preprocessor=None)
    bare.compile(sampler=Sampler(), jit_compile=False)
    return bare.make_generate_function()
