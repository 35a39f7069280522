"""A bundle of the toy with its usage/, the expected answers of its clients, and ways to run them."""

import dataclasses
import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from autocomplete.bundle import usage
from autocomplete.bundle.contract import Manifest, TfliteModel
from autocomplete.common.native_log import quiet
from autocomplete.graph import bytes_driver, core, fixed_loop, growing_loop, loop_plan, token_bytes, tokens_driver
from autocomplete.runtime import bytes_model, interpreters, tokens_model
from autocomplete.tflite import edit, flatbuffer, inspect, linker
from autocomplete.tokenizer import tokenizer, tokenizer_json
from helpers import records
from helpers.environments import absent, isolated
from helpers.manifests import manifest_of
from helpers.toy_models import quantized
from helpers.toys import CHUNK, PROMPT_BYTES, PROMPTS, SEQUENCE, SLOTS, TEXT, WINDOW, Toy

ODD = [
    "",
    "a\n",
    " ",
    "x \t\n y\u3000\u00a0 z\u0085 ",
    "½ 12३ 3rd",
    "e\u0301\u200d👍🏽",
    "<|endoftext|>b",
    "We'll 'REally'm",
    '"quoted\\" {}',
    "-a",
    "\ufeff\u001c\u180e",
]
LONG = " ".join(TEXT[1].split()[:120])


@dataclass(frozen=True)
class Form:
    """A kind of bundle: with a start token or not, how much a prefill reads, lengths, how its core is quantized."""

    start: bool
    prefill: Sequence[int]
    sequence: int
    window: int
    suppressed: Sequence[int] = field(default_factory=list)
    mode: str = "float32"
    complete_word: bool = False
    prompts: Sequence[str] = (*PROMPTS, *ODD, LONG)


FEWER = (*PROMPTS, *ODD[:4], LONG)  # how a client encodes odd texts does not depend on the form
WORDS = 10  # how many words of a text a client without a tokenizer passes on

# in the second form the third pass over 24 tokens goes past the 64 slots of the cache
FORMS = {
    "with a start token": Form(True, [CHUNK, 32], SEQUENCE, WINDOW),
    "without, some tokens suppressed": Form(False, [24], 63, 55, [*range(100, 200)], prompts=FEWER),
    "completing words": Form(True, [CHUNK], SEQUENCE, WINDOW, complete_word=True, prompts=FEWER),
}
QUANTIZED = {
    mode: Form(True, [CHUNK], SEQUENCE, WINDOW, mode=mode, prompts=(*PROMPTS, LONG))
    for mode in ("dynamic_range", "full_integer")
}


@dataclass(frozen=True)
class Bundle:
    """A bundle of the toy and the expected answers of its clients."""

    folder: Path
    prompts: Sequence[str]
    expected: dict[str, str]
    portable: dict[str, str]
    spoken: dict[str, tuple[list[int], list[int]]]  # prompt → ids that the model reads, ids that it generates


def described(toy: Toy, form: Form, folder: Path) -> Manifest:
    """The manifest from which the clients are written."""
    end = toy.vocabulary.end_token_id
    special = {"start_token_id": end, "end_token_id": end, "end_token_ids": [end], "special_token_ids": [0, end]}
    conversion = records.conversion(
        sequence_length=form.sequence,
        context_window=form.window,
        cache_length=SLOTS,
        portable_prompt_bytes=PROMPT_BYTES,
        suppress_tokens=list(form.suppressed),
        complete_word=form.complete_word,
    )
    return manifest_of(
        folder,
        form.mode,
        {p.name: TfliteModel(**dataclasses.asdict(inspect.describe(p))) for p in folder.glob("*.tflite")},
        model=records.model(add_start_token=form.start, **special),
        conversion=conversion,
        metrics=records.measured(mode=form.mode, context_words_p50=WORDS, context_words_p95=2 * WORDS),
    )


def write(toy: Toy, form: Form, folder: Path) -> None:
    """A bundle as package writes it, without the files that the clients do not read."""
    with quiet():
        lengths = loop_plan.LoopLengths(form.sequence, CHUNK, 4, draft_tokens=4)
        steps = growing_loop.step_shapes(lengths) | fixed_loop.step_shapes(lengths)
        built = core.build(toy.weights, SLOTS, form.prefill, steps)
        if form.mode != "float32":
            flatbuffer.write(built, folder / "core.tflite")
            built = quantized(toy, folder / "core.tflite", form.mode)
        config, vocabulary = (
            toy.weights.config,
            dataclasses.replace(toy.vocabulary, start_token_id=toy.end if form.start else None),
        )
        pieces = (
            token_bytes.table(vocabulary.token_bytes, config.vocab_size, form.suppressed)
            if form.complete_word
            else None
        )
        driver = tokens_driver.convert(config, vocabulary.end_token_ids, lengths, form.suppressed, pieces)
        limits = bytes_driver.BytesLimits(lengths, form.window, PROMPT_BYTES)
        bytes_model = bytes_driver.convert(vocabulary, config, limits, form.suppressed)
    flatbuffer.write(linker.link(driver, built), folder / "tokens.tflite")
    flatbuffer.write(linker.link(bytes_model, built), folder / "portable.tflite")
    flatbuffer.write(edit.without_signatures(built, steps), folder / "core.tflite")
    (folder / "tokenizer").mkdir()
    for name, data in tokenizer_json.client_files(tokenizer.read_tokenizer_json(toy.preset)).items():
        (folder / "tokenizer" / name).write_bytes(data)
    usage.write(described(toy, form, folder), folder)


def made(toy: Toy, form: Form, folder: Path) -> Bundle:
    """A bundle in a new folder, and the expected answers, from this project's own call of the tokens model."""
    folder.mkdir()
    write(toy, form, folder)
    generate = generator(folder / "tokens.tflite", form)
    strings = tokenizer.token_bytes(toy.vocabulary.ids)
    expected, spoken = {}, {}
    for prompt in form.prompts:
        ids = toy.bpe.encode(prompt).ids[-form.window :]
        ids = [toy.vocabulary.end_token_id, *ids] if form.start or not ids else ids
        answer = generate(ids)
        prompt_bytes, answer_bytes = (b"".join(strings[i] for i in sequence) for sequence in (ids, answer))
        assert answer_bytes.startswith(prompt_bytes)
        expected[prompt] = prompt + answer_bytes[len(prompt_bytes) :].decode(errors="ignore")
        spoken[prompt] = ids, answer
    assert not {i for ids, answer in spoken.values() for i in answer[len(ids) :]} & set(form.suppressed)
    assert form.complete_word == any(answer[: len(ids)] != ids for ids, answer in spoken.values())
    assert len(toy.bpe.encode(LONG).ids) > form.window
    assert sum(len(text) > len(prompt) for prompt, text in expected.items()) >= len(form.prompts) - 2
    assert len({text.removeprefix(prompt) for prompt, text in expected.items()}) > len(form.prompts) / 2
    proceed = bytes_model.interpreted(interpreters.litert(folder / "portable.tflite", 1))
    portable = {p: p + proceed(p.encode(), form.sequence, tokens_model.Sampling(), True).decode() for p in form.prompts}
    return Bundle(folder, form.prompts, expected, portable, spoken)


def generator(path: Path, form: Form) -> Callable[[list[int]], list[int]]:
    """Greedy calls of a tokens model, which completes words where the form requires it."""
    call, options = interpreters.litert(path, 1).get_signature_runner("generate"), {}
    if form.complete_word:
        options = {"complete_word": np.int32(1)}

    def generate(ids: list[int]) -> list[int]:
        tokens = np.zeros((1, form.sequence), np.int32)
        tokens[0, : len(ids)] = ids
        zero = np.int32(0)
        answer = call(
            tokens=tokens,
            length=np.int32(len(ids)),
            max_length=np.int32(form.sequence),
            temperature=np.float32(0),
            top_k=zero,
            top_p=np.float32(1),
            seed=zero,
            **options,
        )
        return list(answer["tokens"][0, : int(answer["length"])].tolist())

    return generate


def tool(name: str, why: str) -> str:
    """The path of a program that no package index has."""
    path = shutil.which(name)
    if path is None:
        absent(f"{name} is absent: {why}")
    return path


def run(command: Sequence[str | bytes | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """A command in an environment without this project's packages."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=environment | options.pop("env", {}),
        **options,
    )


def done(command: Sequence[str | Path], **options: Any) -> str:
    """The standard output of a command that must succeed."""
    finished = run(command, **options)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout


def python(*packages: str) -> str:
    """A Python with the packages that the bundle's client needs."""
    return isolated(f"ai-edge-litert=={importlib.metadata.version('ai-edge-litert')}", "tokenizers", "numpy", *packages)
