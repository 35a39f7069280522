"""A place for teams without DVC: the uploaded files, their order, and the errors of failed uploads."""

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
from autocomplete.release.releases import Index, ReleasedVersion


class UploadHandler(http.server.BaseHTTPRequestHandler):
    """A web server that stores the files that it receives by PUT."""

    uploads: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        self.uploads[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(501 if self.path.startswith("/refused") else 201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        content = self.uploads.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), UploadHandler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(params=["folder", "memory", "http"])
def url(request: pytest.FixtureRequest, tmp_path: Path, web: str) -> str:
    place = uuid.uuid4().hex
    return {"folder": str(tmp_path / "web"), "memory": f"memory://{place}", "http": f"{web}/{place}"}[request.param]


@pytest.fixture
def bundles_and_record(tmp_path: Path) -> tuple[list[Path], Path]:
    """Two bundles of two files each, and a record."""
    bundles = [tmp_path / "bundles" / mode for mode in ("float16", "float32")]
    for bundle in bundles:
        (bundle / "usage").mkdir(parents=True)
        (bundle / "SHA256SUMS").write_text(bundle.name)
        (bundle / "usage/complete.py").write_text("print()")
    record = tmp_path / "1.0.0.json"
    record.write_text("{}")
    return bundles, record


def test_a_version_is_complete_once_all_of_it_is_uploaded(
    url: str, bundles_and_record: tuple[list[Path], Path]
) -> None:
    place = publish.releases_url(f"{url}/", "autocomplete")
    assert place == f"{url}/releases/autocomplete"
    assert not publish.is_complete(place, "1.0.0")
    publish.upload(place, "1.0.0", *bundles_and_record)
    assert publish.is_complete(place, "1.0.0")
    assert not publish.is_complete(place, "1.0.1")
    with fsspec.open(f"{place}/1.0.0/float16/SHA256SUMS") as file:
        assert file.read() == b"float16"
    with fsspec.open(f"{place}/1.0.0/float32/usage/complete.py") as file:
        assert file.read() == b"print()"


def test_an_interrupted_version_is_not_complete(
    url: str, bundles_and_record: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, put = publish.releases_url(url, "autocomplete"), publish._upload_file

    def breaking(path: Path, target: str) -> None:
        if target.endswith("float32/usage/complete.py"):  # the last of the bundles' files
            raise UserError("the line is cut")
        put(path, target)

    monkeypatch.setattr(publish, "_upload_file", breaking)
    with pytest.raises(UserError, match="the line is cut"):
        publish.upload(place, "1.0.0", *bundles_and_record)
    assert not publish.is_complete(place, "1.0.0")


def test_the_index_is_replaced(url: str) -> None:
    place = publish.releases_url(url, "autocomplete")
    for versions in (["1.0.0"], ["1.0.0", "1.0.1"]):
        released = {version: ReleasedVersion(revision="a", modes={}) for version in versions}
        index = Index(schema_version=1, name="autocomplete", stages={}, versions=released)
        publish.upload_index(place, index)
        with fsspec.open(f"{place}/index.json") as file:
            assert json.load(file) == index.model_dump()


def test_a_web_server_that_refuses_uploads_is_one_line(web: str, bundles_and_record: tuple[list[Path], Path]) -> None:
    with pytest.raises(UserError, match=r"501 .*mend it and give the same command again"):
        publish.upload(publish.releases_url(f"{web}/refused", "autocomplete"), "1.0.0", *bundles_and_record)


def test_an_unreachable_place_is_one_line(bundles_and_record: tuple[list[Path], Path]) -> None:
    with pytest.raises(UserError, match="nosuch://place") as caught:
        publish.upload("nosuch://place", "1.0.0", *bundles_and_record)
    assert "\n" not in str(caught.value)
