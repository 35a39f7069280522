"""A place for teams without DVC: what is put there, in which order, and what is told where that fails."""

import http.server
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest

from autocomplete.common.errors import UserError
from autocomplete.release import publish


class Shelf(http.server.BaseHTTPRequestHandler):
    """A web server that keeps what is PUT to it."""

    kept: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(501 if self.path.startswith("/refused") else 201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        found = self.kept.get(self.path)
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(params=["folder", "memory", "http"])
def url(request: pytest.FixtureRequest, tmp_path: Path, web: str) -> str:
    place = uuid.uuid4().hex
    return {"folder": str(tmp_path / "web"), "memory": f"memory://{place}", "http": f"{web}/{place}"}[request.param]


@pytest.fixture
def made(tmp_path: Path) -> tuple[list[Path], Path]:
    """Two bundles of two files each, and a record."""
    bundles = [tmp_path / "made" / mode for mode in ("float16", "float32")]
    for bundle in bundles:
        (bundle / "usage").mkdir(parents=True)
        (bundle / "SHA256SUMS").write_text(bundle.name)
        (bundle / "usage/complete.py").write_text("print()")
    record = tmp_path / "1.0.0.json"
    record.write_text("{}")
    return bundles, record


def test_a_version_is_there_once_all_of_it_is(url: str, made: tuple[list[Path], Path]) -> None:
    place = publish.home(f"{url}/", "autocomplete")
    assert place == f"{url}/releases/autocomplete"
    assert not publish.has(place, "1.0.0")
    publish.publish(place, "1.0.0", *made)
    assert publish.has(place, "1.0.0")
    assert not publish.has(place, "1.0.1")
    with fsspec.open(f"{place}/1.0.0/float16/SHA256SUMS") as file:
        assert file.read() == b"float16"
    with fsspec.open(f"{place}/1.0.0/float32/usage/complete.py") as file:
        assert file.read() == b"print()"


def test_a_version_that_broke_off_is_not_there(
    url: str, made: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, put = publish.home(url, "autocomplete"), publish._put

    def breaking(path: Path, target: str) -> None:
        if target.endswith("float32/usage/complete.py"):  # the last of the bundles' files
            raise UserError("the line is cut")
        put(path, target)

    monkeypatch.setattr(publish, "_put", breaking)
    with pytest.raises(UserError, match="the line is cut"):
        publish.publish(place, "1.0.0", *made)
    assert not publish.has(place, "1.0.0")


def test_the_index_is_replaced(url: str) -> None:
    place = publish.home(url, "autocomplete")
    indices: list[dict[str, dict[str, str]]] = [{"1.0.0": {}}, {"1.0.0": {}, "1.0.1": {}}]
    for versions in indices:
        publish.point(place, {"versions": versions})
        with fsspec.open(f"{place}/index.json") as file:
            assert json.load(file) == {"versions": versions}


def test_a_web_server_that_takes_nothing_is_one_line(web: str, made: tuple[list[Path], Path]) -> None:
    with pytest.raises(UserError, match=r"501 .*mend it and give the same command again"):
        publish.publish(publish.home(f"{web}/refused", "autocomplete"), "1.0.0", *made)


def test_a_place_that_nothing_reaches_is_one_line(made: tuple[list[Path], Path]) -> None:
    with pytest.raises(UserError, match="nosuch://place") as caught:
        publish.publish("nosuch://place", "1.0.0", *made)
    assert "\n" not in str(caught.value)
