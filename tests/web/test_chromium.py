"""The page in a real browser: Debian's Chromium, driven by playwright-core, with the shipped preset in two modes."""

import contextlib
import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from autocomplete.bundle import manifest
from autocomplete.bundle.contract import Manifest
from autocomplete.common.native_log import quiet
from autocomplete.page import npm_runtime, page
from helpers import records
from helpers.environments import absent
from helpers.folders import ROOT
from helpers.manifests import manifest_of
from helpers.modes import settings
from helpers.toys import authored

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.network]

SHIPPED, MODES = ROOT / "artifacts/presets/pydoc_gpt2", ("dynamic_range", "float32")
SLOTS, SEQUENCE, WINDOW = 256, 100, 50
MODEL = records.model()
TOKENS, LANGUAGES = 12, ["english", "korean", "chinese", "russian", "japanese"]
HARD = ["", "naïve café – 日本", "  two  blanks", "don't you're 's", "a\n\n  b", "👍🏽 thumbs", "x = [1, 2, 3]", "\t"]
SCRIPT = Path(__file__).with_name("scenarios.mjs")
SCENARIOS = re.findall(r"^await scenario\('(.+?)', async", SCRIPT.read_text(), re.MULTILINE)
CHROMIUM_S = 600


@dataclass(frozen=True)
class Site:
    """Bundles with a page, its runtime, the npm modules of the tests, and the paths of Node and the browser."""

    bundles: list[Path]
    runtime: Path
    modules: Path
    node: str
    chromium: str


@dataclass(frozen=True)
class BrowserRun:
    """The report of Chromium, and the inputs of the scenarios."""

    site: Site
    report: dict[str, Any]
    prompts: list[str]
    candidates: list[str]
    screens: Path


def tool(*names: str) -> str:
    return next(filter(None, map(shutil.which, names)), None) or absent(f"{names[0]} is absent: the page runs in it")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    node, chromium, _ = tool("node"), tool("chromium", "chromium-browser", "google-chrome"), tool("npm")
    folder = tmp_path_factory.mktemp("page")
    npm_runtime.write(folder / "runtime")
    with quiet():
        bundles = [bundle(folder / mode, model, mode, folder / "runtime") for mode, model in models(folder)]
    (folder / "npm").mkdir()
    return Site(bundles, folder / "runtime", npm_runtime.install(folder / "npm"), node, chromium)


def models(folder: Path) -> Iterator[tuple[str, Any]]:
    """The portable model of the shipped preset in each mode, as convert and quantize make it."""
    from autocomplete.graph import bytes_driver, core, fixed_loop
    from autocomplete.model import families
    from autocomplete.quantize import recipes
    from autocomplete.tflite import flatbuffer, linker

    chunks = yaml.safe_load((ROOT / "conf/convert/default.yaml").read_text())["prefill_lengths"]
    limits = records.conversion(
        sequence_length=SEQUENCE, context_window=WINDOW, prefill_lengths=chunks, portable_prompt_bytes=512
    )
    steps = fixed_loop.step_shapes(bytes_driver.limits_for(limits).loop)
    path, driver = folder / "core.tflite", bytes_driver.convert_for(authored(SHIPPED), MODEL, limits)
    flatbuffer.write(core.build(families.read_weights(SHIPPED, SLOTS), SLOTS, chunks, steps), path)
    for mode in MODES:
        recipe = settings(mode).get("text_recipe") or settings(mode)["recipe"]
        yield mode, linker.link(driver, recipes.quantize(path, recipe))


def bundle(folder: Path, model: Any, mode: str, runtime: Path) -> Path:
    """The files of a bundle that the page needs."""
    from autocomplete.tflite import flatbuffer

    folder.mkdir()
    flatbuffer.write(model, folder / page.MODEL)
    bundle_manifest = manifest_of(
        folder,
        mode,
        conversion=records.conversion(sequence_length=SEQUENCE, context_window=WINDOW),
        metrics=records.measured(mode=mode, context_words_p50=24, context_words_p95=34),
    ).model_copy(update={"title": "Autocomplete"})
    page.write(bundle_manifest, runtime, folder)
    manifest.seal(bundle_manifest, folder, known_files={})
    return folder


@contextlib.contextmanager
def demo(bundles: list[Path]) -> Iterator[str]:
    """Runs the demo server as a user would; yields its address."""
    command = [sys.executable, "-m", "autocomplete", "demo", "--port=0", "--no-open", *map(str, bundles)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0]
        process.terminate()


@contextlib.contextmanager
def plain(root: Path) -> Iterator[str]:
    """Runs a static file server; yields its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=root)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser_run(site: Site, tmp_path_factory: pytest.TempPathFactory) -> BrowserRun:
    """All scenarios, run once."""
    folder = tmp_path_factory.mktemp("browser_run")
    documents = [json.loads(line)["text"] for line in (SHIPPED / "evaluation.jsonl").read_text().splitlines()]
    prompts = [*HARD, *(" ".join(d.split(" ")[: 3 + i % 9]) for i, d in enumerate(documents[: 50 - len(HARD)]))]
    candidates = candidate_texts(documents[:60])
    (folder / "candidates.json").write_text(json.dumps(candidates))
    (folder / "words.json").write_bytes(page.words(LANGUAGES))
    shutil.copytree(site.bundles[0], folder / "host/bundle")
    with demo(site.bundles) as address, plain(folder / "host") as host:
        inputs = {
            "page": address,
            "plain": f"{host}/bundle/web/",
            "plainFolder": str(folder / "host/bundle/web"),
            "modules": str(site.modules),
            "chromium": site.chromium,
            "screens": str(folder),
            "words": str(site.bundles[0] / "web/words.json"),
            "prompts": prompts,
            "tokens": TOKENS,
            "allWords": str(folder / "words.json"),
            "candidates": str(folder / "candidates.json"),
        }
        command = [site.node, str(SCRIPT), json.dumps(inputs)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHROMIUM_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "report.json").write_text(done.stdout)
    return BrowserRun(site, json.loads(done.stdout), prompts, candidates, folder)


def candidate_texts(documents: list[str]) -> list[str]:
    """Listed words bare, in sentences, within words, disguised, and texts without listed words."""
    from glin_profanity.data.dictionary import dictionary

    words = [w for language in LANGUAGES for w in dictionary.get_words(language)[::7]]
    forms = ["{}", "It is {}, they say", "x{}", "{}x", "_{}_", "é{}", "({})", "{}의 것"]
    disguised = ["fuсk", "ｆｕｃｋ", "fu\u200bck", "fück", "ſhit", "FUCK"]
    return [form.format(w) for w in words for form in forms] + disguised + [w.title() for w in words] + documents


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_in_chromium(browser_run: BrowserRun, name: str) -> None:
    outcome = browser_run.report["scenarios"][name]
    assert outcome["passed"], outcome["why"]


def test_the_filter_is_pythons(browser_run: BrowserRun) -> None:
    from autocomplete.evaluate import word_filter

    refuses = word_filter.word_filter(LANGUAGES)
    expected = [refuses(text) for text in browser_run.candidates]
    assert browser_run.report["refused"] == expected
    assert 100 < sum(expected) < len(expected) - 100


def test_greedy_text_is_that_of_python_and_keras(browser_run: BrowserRun) -> None:
    """Uses float32: another processor may round quantized activations differently (docs/log.md)."""
    from autocomplete.runtime import bytes_model, interpreters, tokens_model

    proceed = bytes_model.interpreted(interpreters.litert(browser_run.site.bundles[1] / page.MODEL, 1))
    python = [proceed(p.encode(), TOKENS, tokens_model.Sampling(), False).decode() for p in browser_run.prompts]
    assert len(browser_run.prompts) == 50
    assert browser_run.report["texts"] == python
    assert python == by_keras(browser_run.prompts)
    assert len(set(python)) > 40


def by_keras(prompts: list[str]) -> list[str]:
    """Greedy continuations by the Keras model without a cache, all prompts in one batch."""
    from autocomplete.evaluate import keras_reference
    from autocomplete.presets import loading
    from autocomplete.tokenizer import tokenizer

    with quiet():
        model = loading.load(SHIPPED).model
    bpe = tokenizer.from_keras_folder(SHIPPED / tokenizer.FOLDER)
    strings = tokenizer.token_bytes(tokenizer.read_vocabulary(SHIPPED / tokenizer.FOLDER, 1, 1).ids)
    rows = [[MODEL.start_token_id, *bpe.encode(p).ids[-WINDOW:]] for p in prompts]
    lengths = np.array([len(r) for r in rows])
    batch = np.zeros((len(rows), lengths.max() + TOKENS), np.int32)
    for row, ids in zip(batch, rows, strict=True):
        row[: len(ids)] = ids
    batch_rows = np.arange(len(rows))
    for step in range(TOKENS):
        likeliest = keras_reference.logits(model, batch[:, : lengths.max() + step]).argmax(-1)
        batch[batch_rows, lengths + step] = likeliest[batch_rows, lengths + step - 1]
    texts = []
    for row, length in zip(batch.tolist(), lengths.tolist(), strict=True):
        answer = row[length : length + TOKENS]
        end = answer.index(MODEL.end_token_id) if MODEL.end_token_id in answer else TOKENS
        texts.append(b"".join(strings[i] for i in answer[:end]).decode(errors="ignore"))
    return texts


def test_pictures_are_taken(browser_run: BrowserRun) -> None:
    """The screenshots desktop, dark and phone; AUTOCOMPLETE_SCREENS names a folder to copy them to, for docs/."""
    import os

    pictures = [browser_run.screens / f"{name}.png" for name in ("desktop", "dark", "phone")]
    assert all(p.read_bytes().startswith(b"\x89PNG") and p.stat().st_size > 10_000 for p in pictures)
    if copies := os.environ.get("AUTOCOMPLETE_SCREENS"):
        for picture in pictures:
            shutil.copyfile(picture, Path(copies) / f"page-{picture.name}")


def test_the_same_bundle_has_the_same_page(site: Site, tmp_path: Path) -> None:
    first = site.bundles[0]
    shutil.copyfile(first / page.MODEL, tmp_path / page.MODEL)
    page.write(Manifest.read(first / manifest.FILE), site.runtime, tmp_path)
    rewritten = {p.relative_to(tmp_path): p.read_bytes() for p in (tmp_path / "web").rglob("*") if p.is_file()}
    assert rewritten == {p.relative_to(first): p.read_bytes() for p in (first / "web").rglob("*") if p.is_file()}
