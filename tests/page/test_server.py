"""The loopback server: the files of a site, their headers, and 404 for everything else."""

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.page import server

LARGE = bytes(range(256)) * 3000  # more than one block


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "model.tflite").write_bytes(LARGE)
    site: dict[str, Path | bytes] = {
        "index.html": b"<title>page</title>",
        "a b.js": b"code",
        "runtime/run.wasm": b"\0asm",
        "model.tflite": tmp_path / "model.tflite",
    }
    with server.listening(site, 0) as running:
        threading.Thread(target=running.serve, daemon=True).start()
        yield int(running.address.rsplit(":", 1)[1].strip("/"))
        running.server.shutdown()


def fetch(port: int, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(server.HOST, port, timeout=10)
    connection.request(method, path, headers=headers)
    return connection.getresponse()


@pytest.mark.parametrize("path", ["/", "/index.html", "/?a=b", "/index.html#top"])
def test_the_page_is_at_the_top(path: str, port: int) -> None:
    assert fetch(port, path).read() == b"<title>page</title>"


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/a%20b.js", "text/javascript; charset=utf-8", b"code"),
        ("/runtime/run.wasm", "application/wasm", b"\0asm"),
        ("/model.tflite", "application/octet-stream", LARGE),
    ],
)
def test_files_have_the_types_that_a_browser_needs(path: str, kind: str, content: bytes, port: int) -> None:
    response = fetch(port, path)
    assert (response.status, response.headers["Content-Type"]) == (200, kind)
    assert response.read() == content
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_a_head_has_no_body(port: int) -> None:
    response = fetch(port, "/model.tflite", "HEAD")
    assert (response.status, response.headers["Content-Length"]) == (200, str(len(LARGE)))
    assert response.read() == b""


@pytest.mark.parametrize("path", ["/runtime", "/runtime/", "/../server.py", "/%2e%2e/server.py", "/INDEX.HTML"])
def test_other_paths_are_not_found(path: str, port: int) -> None:
    response = fetch(port, path)
    assert (response.status, response.read()) == (404, b"")


@pytest.mark.parametrize("path", ["/", "/model.tflite"])
def test_a_cached_file_is_not_sent_again(path: str, port: int, tmp_path: Path) -> None:
    tag = fetch(port, path).headers["ETag"]
    again = fetch(port, path, **{"If-None-Match": str(tag)})
    assert (again.status, again.read()) == (304, b"")
    (tmp_path / "model.tflite").write_bytes(b"another")
    assert fetch(port, path, **{"If-None-Match": str(tag)}).status == (304 if path == "/" else 200)


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as listener:
        listener.bind((server.HOST, 0))
        listener.listen()
        number = listener.getsockname()[1]
        with pytest.raises(UserError, match=f"port {number} on {server.HOST} cannot be had"):
            server.listening({}, number).__enter__()
