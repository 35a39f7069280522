"""The checks of one mode: shipped files against the float32 core and Keras."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.artifacts import Targets
from autocomplete.common.native_log import quiet
from autocomplete.evaluate import completion, contracts, keras_reference, perplexity, tokenization, word_filter
from autocomplete.evaluate import portable as portable_rules
from autocomplete.evaluate.mode_files import Subject
from autocomplete.graph import prompt_tokens, sampler, text_driver
from autocomplete.runtime import bytes_model, compiled, interpreters, logits, sessions, text_model, tokens_model
from autocomplete.tflite import flatbuffer, linker
from autocomplete.tokenizer import tokenizer

Values = dict[str, float | None]
# Tokens that three words may take; what is not said by then does not count.
_SUGGESTED_TOKENS = 16


def measure_quality(subject: Subject, keras: Any, windows: Array, parity_windows: int, processes: int) -> Values:
    """Perplexity and its kin over windows `[n, slots]`, and parity of the float32 core with Keras over some of them."""
    # without a recipe of its own the core inside the text model is the shipped one, byte for byte
    text_core = subject.text_core if subject.recipe.text_recipe else subject.core
    cores = list(dict.fromkeys([subject.converted / "core.tflite", subject.core, text_core or subject.core]))
    found = dict(zip(cores, perplexity.scores(cores, windows, processes), strict=True))
    reference_core = subject.session(cores[0])
    of_keras = [keras_reference.logits(keras, w[None, :-1])[0] for w in windows[:parity_windows]]
    apart = [
        perplexity.difference(logits.decoded(reference_core, w[:-1]), expected)
        for w, expected in zip(windows, of_keras, strict=False)
    ]
    lengths = np.array([len(b) for b in subject.pieces])
    size = int(lengths[windows[:, 1:]].sum())
    largest = max(a for a, _ in apart)
    parity = {
        "parity_max": largest,
        "parity_mean": float(np.mean([b for _, b in apart])),
        # float32 rounds in proportion to what it rounds: logits of 36 are further apart than logits of 5
        "parity_relative": largest / max(float(np.abs(expected).max()) for expected in of_keras),
    }
    measured = _significant(parity | perplexity.summarize(found[subject.core], size))
    text = _significant(perplexity.summarize(found[text_core], size)) if subject.text_core and text_core else {}
    return measured | {f"text_{n}": text.get(n) for n in ("perplexity_ratio", "perplexity_ratio_stderr")}


def _significant(measured: Mapping[str, float | None]) -> Values:
    return {name: None if value is None else perplexity.significant(value) for name, value in measured.items()}


def greedy(subject: Subject, keras: Any, prompts: Sequence[str]) -> Values:
    """How often greedy decoding by core and by tokens model equals Keras's."""
    session, ids = subject.session(subject.core), [subject.prompt_ids(p) for p in prompts]
    longest = subject.conversion.sequence_length
    said = [continue_greedily(session, i, subject) for i in ids]
    generated = [subject.generate(i, longest, tokens_model.Sampling())[len(i) :] for i in ids]
    matches = {"greedy_match": said, "tokens_greedy_match": generated}
    equal = {n: keras_reference.greedy_matches(keras, ids, m, subject.suppressed) for n, m in matches.items()}
    return _significant({n: float(np.mean(e)) for n, e in equal.items()})


def text_greedy(subject: Subject, prompts: Sequence[str], folder: Path) -> Values:
    """How often the text model's greedy answer equals what its core says, step by step.

    Where the shipped text model samples or completes words, a greedy driver is linked to its core in `folder` instead.
    """
    if subject.text_core is None:
        return {"text_greedy_match": None}
    path = subject.shipped / "autocomplete.tflite"
    if subject.conversion.sampler != "greedy" or subject.conversion.complete_word:
        greedy = sampler.Sampler("greedy", 1, 1.0, 1.0, None, subject.suppressed)
        plain = subject.conversion.model_copy(update={"complete_word": False})
        with quiet():
            twin = text_driver.convert_for(subject.preset, subject.model, plain, greedy)
        path = folder / "greedy.tflite"
        flatbuffer.write(linker.link(twin, flatbuffer.read(subject.text_core)), path)
    answer = text_model.interpreted(interpreters.tensorflow(path, subject.threads))
    # Both sides in one runtime: kernels of different versions round differently.
    alone = sessions.StepSession(interpreters.tensorflow(subject.text_core, subject.threads))
    equal = [
        answer(p.encode()) == _text(p, continue_greedily(alone, subject.prompt_ids(p), subject), subject)
        for p in prompts
    ]
    return _significant({"text_greedy_match": float(np.mean(equal))})


def portable_greedy(subject: Subject, prompts: Sequence[str]) -> Values:
    """How often the portable model's greedy text equals what its core says, step by step, in LiteRT and in TF 2.18.

    None where there is no such model; of TF 2.18 also where it cannot run the mode.
    """
    found: Values = dict.fromkeys(("portable_greedy_match", "portable_tf_greedy_match"))
    if not subject.portable.exists():
        return found
    parts = subject.text_core or subject.shipped / "parts/core.tflite"  # as quantize links it
    runtimes = {"portable_greedy_match": interpreters.litert, "portable_tf_greedy_match": interpreters.tensorflow}
    for name, load in runtimes.items():
        if load is interpreters.litert or subject.text_core is not None:
            alone = sessions.StepSession(load(parts, subject.threads))
            share = _portable_share(
                subject, prompts, load, functools.partial(continue_greedily, alone, subject=subject)
            )
            found[name] = perplexity.significant(share)
    return found


def _portable_share(
    subject: Subject, prompts: Sequence[str], load: Callable[[Path, int], Any], says: Callable[[list[int]], list[int]]
) -> float:
    """The share of prompts after which the portable model, in a runtime, says the text of these tokens."""
    answer = bytes_model.interpreted(load(subject.portable, subject.threads))
    longest = subject.conversion.sequence_length
    equal = [
        answer(p.encode(), longest, tokens_model.Sampling(), False) == _said(says(subject.prompt_ids(p)), subject)
        for p in prompts
    ]
    return float(np.mean(equal))


def tokenizer_match(subject: Subject, documents: Sequence[str], folder: Path) -> Values:
    """How often the evaluation text becomes the same ids by the model's own tokenizer, the bundle's and the graph's."""
    content = tokenizer.read_tokenizer_json(subject.preset)
    others = [tokenization.of_bundle(content)]
    if subject.portable.exists():
        vocabulary = prompt_tokens.vocabulary_for(subject.preset, subject.model)
        others.append(tokenization.of_graph(vocabulary, folder))
    return _significant({"tokenizer_match": tokenization.match(documents, subject.bpe, others)})


def portable_contract(subject: Subject, prompts: Sequence[str]) -> dict[str, bool] | None:
    """The rules for the portable model; None where there is none."""
    if not subject.portable.exists():
        return None
    proceed = bytes_model.interpreted(interpreters.litert(subject.portable, subject.threads))
    return portable_rules.check(proceed, [p.encode() for p in prompts]) | portable_rules.interface(subject.portable)


def autocomplete(subject: Subject, places: Sequence[completion.Cut]) -> Values:
    """Accepted words and keystrokes saved by the tokens model, greedily."""
    longest, ends = subject.conversion.sequence_length, subject.model.end_token_ids

    def suggest(typed: str) -> str:
        ids = subject.prompt_ids(typed)
        said = subject.generate(ids, min(len(ids) + _SUGGESTED_TOKENS, longest), tokens_model.Sampling())[len(ids) :]
        text = b"".join(subject.pieces[t] for t in said).decode(errors="ignore")
        return text + "\n" if said and said[-1] in ends else text

    return _significant(completion.measure(suggest, places))


def filtered(
    subject: Subject, prompts: Mapping[str, Sequence[str]], refuses: word_filter.Refuses, tries: int, seed: int
) -> Values:
    """What a word-list filter refuses of the tokens model's answers, drawn as the text model draws, by kind of prompt.

    The same seed draws the same answers. One thread: with two the loop's small operators wait for each other, and take
    twice the processor's time.
    """
    longest = subject.conversion.sequence_length
    generate = tokens_model.interpreted(interpreters.litert(subject.shipped / "tokens.tflite", 1))

    def answer(prompt: str, draw: int) -> str:
        ids = subject.prompt_ids(prompt)
        said = generate(ids, longest, subject.sampling(seed + draw))[len(ids) :]
        return _text(prompt, said, subject).decode()

    measured = {kind: word_filter.measure(answer, asked, refuses, tries) for kind, asked in prompts.items()}
    return _significant({f"{kind}_{name}": v for kind, rates in measured.items() for name, v in rates.items()})


def continue_greedily(
    session: compiled.CompiledSession | sessions.StepSession, ids: Sequence[int], subject: Subject
) -> list[int]:
    """The likeliest tokens, suppressed ones left out, to the end token (included) or to sequence_length in all."""
    session.reset()
    session.prefill(np.array(ids[:-1], np.int32), session.chunks[0])
    said = [ids[-1]]
    for _ in range(subject.conversion.sequence_length - len(ids)):
        said.append(int(keras_reference.likeliest(session.decode(said[-1]), subject.suppressed)))
        if said[-1] in subject.model.end_token_ids:
            break
    return said[1:]


def _text(prompt: str, tokens: Sequence[int], subject: Subject) -> bytes:
    """What the contract says that the text model answers for these tokens."""
    room = max(subject.conversion.max_output_bytes - len(prompt.encode()), 0)
    return prompt.encode() + _said(tokens, subject)[:room].decode(errors="ignore").encode()


def _said(tokens: Sequence[int], subject: Subject) -> bytes:
    """The text of tokens, without bytes that are none."""
    return b"".join(subject.pieces[t] for t in tokens).decode(errors="ignore").encode()


def android(subject: Subject, prompts: Sequence[str], fits: Targets) -> dict[str, bool] | None:
    """The demo app's rules, on the shipped text model; `fits`: what targets.check says of each file."""
    if subject.text_core is None:
        return None
    path, samples = subject.shipped / "autocomplete.tflite", subject.conversion.sampler != "greedy"
    checked = contracts.check(subject.complete, [p.encode() for p in prompts], samples) | contracts.interface(path)
    return checked | {"fits_tflite_2_12": fits[path.name]["android_demo"].fits}
