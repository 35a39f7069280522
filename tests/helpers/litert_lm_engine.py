"""LiteRT-LM's engine on bundles of the toy."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import litert_lm

from autocomplete.bundle import litertlm
from autocomplete.bundle.contract import LitertLm
from helpers.toys import SLOTS, Toy, client_tokenizer

litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
GREEDY = litert_lm.SamplerConfig(top_k=1)


def spelled(toy: Toy) -> str:
    """A tokenizer.json without a decoder: an answer is its tokens, joined by blanks."""
    return json.dumps(json.loads(client_tokenizer(toy)) | {"decoder": None})


def bundle(toy: Toy, core: Path, folder: Path, tokenizer: str, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer)
    start, end = toy.vocabulary.start_token_id, toy.vocabulary.end_token_id
    settings: dict[str, Any] = {
        "max_num_tokens": SLOTS,
        "stop_token_ids": [end],
        "start_token_id": start,
        "suppress_token_ids": [],
    }
    litertlm.write(core, folder / "tokenizer.json", LitertLm(**settings | changes), folder / "toy.litertlm")
    return folder / "toy.litertlm"


@contextlib.contextmanager
def engine(path: Path) -> Iterator[litert_lm.Engine]:
    """The engine on one thread; it writes its weight cache next to the bundle, as by default."""
    with litert_lm.Engine(str(path), litert_lm.Backend.CPU(thread_count=1), cache_dir=str(path.parent)) as running:
        yield running


@contextlib.contextmanager
def prefilled(running: litert_lm.Engine, prompt: str) -> Iterator[litert_lm.Session]:
    """A session that has read a prompt; it must be closed before its engine."""
    with running.create_session(apply_prompt_template=False, sampler_config=GREEDY) as session:
        session.run_prefill([prompt])
        yield session


def answer(running: litert_lm.Engine, prompt: str) -> str:
    with prefilled(running, prompt) as session:
        return str(session.run_decode().texts[0])


def ids(toy: Toy, prompt: str) -> list[int]:
    return [toy.vocabulary.start_token_id, *toy.bpe.encode(prompt).ids]
