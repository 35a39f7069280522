"""demo: what it finds, what it serves, what it refuses. The page itself is in tests/web."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autocomplete.bundle import manifest
from autocomplete.cli import demo
from autocomplete.common.errors import UserError
from autocomplete.page import page, site
from autocomplete.page.site import PageModels
from helpers.commands import refused, requested, stage
from helpers.folders import ROOT
from helpers.manifests import manifest_of


def bundle(folder: Path, mode: str) -> Path:
    """A bundle whose page is two files."""
    (folder / "web").mkdir(parents=True)
    (folder / page.MODEL).write_bytes(mode.encode() * 1000)
    (folder / "web/index.html").write_text("<title>page</title>")
    (folder / "web/run.wasm").write_bytes(b"\0asm")
    known = manifest_of(folder, mode)
    described = page.describe(known, folder / page.MODEL)
    files = {n: folder / "web" / n for n in ("index.html", "run.wasm")}
    for name, content in site.generated(files, PageModels(title="Toy", models=[described])).items():
        (folder / "web" / name).write_bytes(content)
    manifest.seal(known, folder, known_files={})
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [bundle(folder / mode, mode) for mode in ("float32", "dynamic_range")]


@pytest.fixture(scope="module")
def port(bundles: list[Path]) -> Iterator[int]:
    command = [sys.executable, "-m", "autocomplete", "demo", "--port=0", "--no-open", *map(str, bundles)]
    # a shell's background job, as a gate may be, ignores Ctrl-C and so would all that it starts
    command = ["env", "--default-signal=INT", *command]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("http://127.0.0.1:") and "Ctrl-C" in said
        yield int(said.split()[0].rsplit(":", 1)[1].strip("/"))
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(10) == 0  # Ctrl-C is how it ends
        finally:
            process.kill()


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """An answer to a path that is sent as it stands."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_what_a_browser_needs_to_be_told(port: int) -> None:
    status, headers, content = get(port, "/")
    assert (status, content) == (200, b"<title>page</title>")
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert get(port, "/run.wasm")[1]["Content-Type"] == "application/wasm"
    model = get(port, "/models/float32.tflite?sha256=1")
    assert model[2] == b"float32" * 1000
    assert get(port, "/models/float32.tflite", "HEAD")[2] == b""
    assert get(port, "/", **{"If-None-Match": headers["ETag"]})[0] == 304
    assert get(port, "/", "POST")[0] == 501


@pytest.mark.parametrize(
    "path",
    ["/manifest.json", "/../../../etc/passwd", "/..%2f..%2fmanifest.json", "//etc/passwd", "/web/", "/%00", "/models/"],
)
def test_nothing_else_is_there(port: int, path: str) -> None:
    assert get(port, path)[0] == 404


def test_the_usual_mode_comes_first_and_another_by_name(bundles: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = requested(monkeypatch, demo, [str(b) for b in bundles])
    assert [b.name for b in asked.bundles] == ["dynamic_range", "float32"]
    words = ["--mode=float32", "--port=0", "--no-open", *(str(b) for b in reversed(bundles))]
    asked = requested(monkeypatch, demo, words)
    assert [b.name for b in asked.bundles] == ["float32", "dynamic_range"]
    assert (asked.port, asked.opens_browser) == (0, False)


def test_the_newest_bundles_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no bundle with a page in artifacts/package/: install"):
        demo.packaged()
    for age, mode in enumerate(("int8", "int4")):
        made = bundle(tmp_path / "artifacts/package" / mode, mode)
        os.utime(made / "manifest.json", (1e9 - age, 1e9 - age))
    assert [b.name for b in demo.packaged()] == ["int8", "int4"]


def test_a_folder_for_a_static_host(bundles: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "site"
    done = stage("autocomplete", "demo", f"--out={out}", *map(str, bundles))
    assert done.returncode == 0, done.stderr
    assert (out / "models/dynamic_range.tflite").read_bytes() == b"dynamic_range" * 1000
    assert {p.name for p in out.iterdir()} == {"index.html", "run.wasm", "models", site.MODELS, site.FILES}
    assert stage("autocomplete", "demo", f"--out={out}", str(bundles[0])).returncode == 0
    assert not (out / "models/dynamic_range.tflite").exists()
    (tmp_path / "mine").mkdir()
    refused = stage("autocomplete", "demo", f"--out={tmp_path / 'mine'}", str(bundles[0]))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "name another folder" in refused.stderr


def test_mistakes_are_one_line(bundles: list[Path], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = stage("autocomplete", "demo", "--no-open", f"--port={taken.getsockname()[1]}", str(bundles[0]))
    assert said.returncode == 1
    assert "cannot be had" in said.stderr and "--port 0" in said.stderr and said.stderr.count("\n") == 1
    for arguments, message in (
        (["--port=high"], "'--port': 'high' is not a valid integer"),
        (["--colour=red"], "No such option[: ]*'?--colour"),
        ([str(tmp_path / "absent")], "is no folder"),
        (["--mode=int5", str(bundles[0])], "--mode int5: no such bundle"),
        (["--port=99999"], "99999 is not in the range"),
    ):
        refused(["demo", *arguments], message)


def test_a_damaged_bundle_is_not_served(tmp_path: Path) -> None:
    damaged = bundle(tmp_path / "a", "float32")
    (damaged / page.MODEL).write_bytes(b"other")
    said = stage("autocomplete", "demo", "--no-open", "--port=0", str(damaged))
    assert said.returncode == 1 and "damaged or was changed" in said.stderr


def test_help() -> None:
    said = stage("autocomplete", "demo", "--help")
    assert said.returncode == 0 and "--port" in said.stdout
