"""demo: the bundles that it finds, serves and refuses. tests/web tests the page itself."""

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
    bundle_manifest = manifest_of(folder, mode)
    page_model = page.describe(bundle_manifest, folder / page.MODEL)
    files = {n: folder / "web" / n for n in ("index.html", "run.wasm")}
    for name, content in site.generated(files, PageModels(title="Toy", models=[page_model])).items():
        (folder / "web" / name).write_bytes(content)
    manifest.seal(bundle_manifest, folder, known_files={})
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [bundle(folder / mode, mode) for mode in ("float32", "dynamic_range")]


@pytest.fixture(scope="module")
def port(bundles: list[Path]) -> Iterator[int]:
    command = [sys.executable, "-m", "autocomplete", "demo", "--port=0", "--no-open", *map(str, bundles)]
    # a shell's background jobs, such as a gate, ignore SIGINT, and so do the processes that they start
    command = ["env", "--default-signal=INT", *command]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:") and "Ctrl-C" in line
        yield int(line.split()[0].rsplit(":", 1)[1].strip("/"))
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(10) == 0  # Ctrl-C is how it ends
        finally:
            process.kill()


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """The response to a request whose path is sent unchanged."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


def test_responses_have_the_headers_that_a_browser_needs(port: int) -> None:
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
def test_other_paths_are_not_found(port: int, path: str) -> None:
    assert get(port, path)[0] == 404


def test_the_default_mode_comes_first_unless_another_is_named(
    bundles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requested(monkeypatch, demo, [str(b) for b in bundles])
    assert [b.name for b in request.bundles] == ["dynamic_range", "float32"]
    arguments = ["--mode=float32", "--port=0", "--no-open", *(str(b) for b in reversed(bundles))]
    request = requested(monkeypatch, demo, arguments)
    assert [b.name for b in request.bundles] == ["float32", "dynamic_range"]
    assert (request.port, request.opens_browser) == (0, False)


def test_the_newest_bundles_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no bundle with a page in artifacts/package/: install"):
        demo.packaged()
    for age, mode in enumerate(("int8", "int4")):
        folder = bundle(tmp_path / "artifacts/package" / mode, mode)
        os.utime(folder / "manifest.json", (1e9 - age, 1e9 - age))
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
    rejected = stage("autocomplete", "demo", f"--out={tmp_path / 'mine'}", str(bundles[0]))
    assert (rejected.returncode, rejected.stderr.count("\n")) == (1, 1)
    assert "name another folder" in rejected.stderr


def test_mistakes_are_one_line(bundles: list[Path], tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        done = stage("autocomplete", "demo", "--no-open", f"--port={listener.getsockname()[1]}", str(bundles[0]))
    assert done.returncode == 1
    assert "cannot be had" in done.stderr and "--port 0" in done.stderr and done.stderr.count("\n") == 1
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
    done = stage("autocomplete", "demo", "--no-open", "--port=0", str(damaged))
    assert done.returncode == 1 and "damaged or was changed" in done.stderr


def test_help() -> None:
    done = stage("autocomplete", "demo", "--help")
    assert done.returncode == 0 and "--port" in done.stdout
