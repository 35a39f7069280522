"""The page's files from a bundle and from npm; tests/web tests what the page does."""

import json
import re
import shutil
from pathlib import Path

import pytest

from autocomplete.bundle import usage
from autocomplete.bundle.contract import ContextWindow, Lengths, Manifest, Range
from autocomplete.common.errors import UserError
from autocomplete.page import npm_runtime, page, site
from autocomplete.page.site import PageModel, PageModels
from helpers.environments import absent


def described(model: Path, mode: str = "float32") -> PageModel:
    """The page's description of a model."""
    window = Range(minimum=1, default=20, maximum=30)
    manifest = Manifest.model_construct(
        mode=mode,
        lengths=Lengths(sequence_length=100, context_window=50, cache_length=256, max_output_bytes=788),
        context_window=ContextWindow(tokens=window, words=window),
    )
    return page.describe(manifest, model)


def test_a_model_is_described_by_its_file_and_its_bounds(tmp_path: Path) -> None:
    model = tmp_path / page.MODEL
    model.write_bytes(b"x" * 10)
    page_model = described(model)
    assert (page_model.file, page_model.bytes, page_model.longest, page_model.threads) == (
        "../portable.tflite",
        10,
        50,
        False,
    )
    with model.open("r+b") as file:
        file.truncate(1 << 26)
    assert described(model).threads


def test_words_are_whole_ones_by_the_letters_of_their_script() -> None:
    content = json.loads(page.words(["english", "korean", "chinese"]))
    assert content["languages"] == ["english", "korean", "chinese"]
    assert all(content["lookalikes"][a] == b for a, b in (("а", "a"), ("ｆ", "f")))
    latin = [p for p in content["patterns"] if p.isascii()]
    assert len(latin) > 300 and all(p.startswith(r"\b") and p.endswith(r"\b") for p in latin)
    assert any(p.startswith("(?<!") for p in content["patterns"])
    assert page.words(["english"]) == page.words(["english"])


def test_page_and_clients_have_one_litert_js() -> None:
    locked = json.loads((page._SOURCES / "package-lock.json").read_text())["packages"]
    assert {locked[f"node_modules/@litertjs/{n}"]["version"] for n in ("core", "wasm-utils")} == {usage.LITERTJS}


def test_the_page_preloads_every_module_that_it_imports() -> None:
    sources = page._SOURCES
    pending, imported = ["app.js"], set[str]()
    while pending:
        text = (sources / pending.pop()).read_text()
        imports = set(re.findall(r"^import .* from '\./(.*)';", text, re.MULTILINE)) - imported
        imported |= imports
        pending += imports
    preloaded = re.findall(r'rel="modulepreload" href="(.*)"', (sources / "index.html").read_text())
    assert imported and sorted(imported) == sorted(preloaded)


def test_a_failed_installation_by_npm_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("npm") is None:
        absent("npm is absent: it brings the page's runtime")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(UserError, match=r"npm cannot install .* package\.page to false") as raised:
        npm_runtime.write(tmp_path / "runtime")
    assert "\n" not in str(raised.value)


def test_a_page_without_npm_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"npm, which brings .*, is not installed: .* set page to false") as raised:
        npm_runtime.write(tmp_path / "runtime")
    assert "\n" not in str(raised.value)


@pytest.mark.network
def test_another_archive_than_the_locked_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("npm") is None:
        absent("npm is absent: it brings the page's runtime")
    sources = tmp_path / "web"
    shutil.copytree(page._SOURCES, sources)
    lock = json.loads((sources / "package-lock.json").read_text())
    lock["packages"]["node_modules/@litertjs/wasm-utils"]["integrity"] = "sha512-" + "A" * 86 + "=="
    (sources / "package-lock.json").write_text(json.dumps(lock))
    monkeypatch.setattr(npm_runtime, "PINS", [sources / pin.name for pin in npm_runtime.PINS])
    with pytest.raises(UserError, match="EINTEGRITY"):
        npm_runtime.write(tmp_path / "runtime")


def bundle(folder: Path, mode: str, model: bytes = b"model", file: str = "../portable.tflite") -> Path:
    """A bundle with a page of two files."""
    (folder / "web").mkdir(parents=True)
    (folder / page.MODEL).write_bytes(model)
    (folder / "web/index.html").write_text("page")
    (folder / "web/app.js").write_text("code")
    files = {n: folder / "web" / n for n in ("index.html", "app.js")}
    page_model = described(folder / page.MODEL, mode).model_copy(update={"file": file})
    for name, content in site.generated(files, PageModels(title="Toy", models=[page_model])).items():
        (folder / "web" / name).write_bytes(content)
    return folder


def test_the_pages_version_is_that_of_its_content(tmp_path: Path) -> None:
    first, second = bundle(tmp_path / "a", "float32"), bundle(tmp_path / "b", "float32", b"another")
    versions = [(f / "web" / site.FILES).read_text() for f in (first, second)]
    assert versions[0] != versions[1]
    (first / "web/app.js").write_text("changed")
    assert site.compose([first])[site.FILES] != versions[0].encode()


def test_bundles_share_a_page_and_keep_their_order(tmp_path: Path) -> None:
    bundles = [bundle(tmp_path / m, m, m.encode()) for m in ("int8", "float32")]
    (bundles[1] / "web/only_here.js").write_text("threads")
    content = site.compose(bundles)
    listed = json.loads(bytes(content[site.MODELS]))
    assert [(m["mode"], m["file"]) for m in listed["models"]] == [
        ("int8", "models/int8.tflite"),
        ("float32", "models/float32.tflite"),
    ]
    assert content["models/float32.tflite"] == bundles[1] / page.MODEL
    assert content["index.html"] == bundles[0] / "web/index.html"
    assert content["only_here.js"] == bundles[1] / "web/only_here.js"


@pytest.mark.parametrize("file", ["../../secret", "/etc/passwd", "../absent.tflite"])
def test_a_bundle_cannot_name_files_outside(tmp_path: Path, file: str) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(UserError, match="no file of the bundle"):
        site.compose([bundle(tmp_path / "a", "float32", file=file)])


def test_a_second_bundle_of_a_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="second bundle of mode float32"):
        site.compose([bundle(tmp_path / n, "float32") for n in "ab"])
