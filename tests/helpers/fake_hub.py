"""A model hub on loopback."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_API = "/api/models/toy/gpt2"
COMMIT, EARLIER = "c0ffee" * 6 + "beef", "0ddba11" * 5 + "abcde"


@dataclass
class FakeHub:
    """A repository toy/gpt2 on loopback, with two commits of which the earlier one lacks a file."""

    folder: Path
    busy: int = 0  # how many requests are answered with 503
    silent: bool = False
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, authorization
    port: int = 0
    waiting: threading.Event = field(default_factory=threading.Event)

    @property
    def environment(self) -> dict[str, str]:
        return {"HF_ENDPOINT": f"http://127.0.0.1:{self.port}"}

    def files(self, commit: str) -> dict[str, bytes]:
        contents = {
            p.relative_to(self.folder).as_posix(): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()
        }
        if commit == EARLIER:
            del contents["README.md"]
        return contents | {"pytorch_model.bin": b"never to be downloaded"}


class _Handler(BaseHTTPRequestHandler):
    """Answers as huggingface.co does."""

    hub: FakeHub

    def do_GET(self) -> None:
        if "/toy/gpt2" not in self.path:  # another request of huggingface_hub's
            self.answer(404, b"{}")
            return
        self.hub.requests.append((self.command, self.path, self.headers.get("Authorization")))
        path = self.path.partition("?")[0]
        if self.hub.silent:
            self.hub.waiting.wait(60)
        elif self.hub.busy:
            self.hub.busy -= 1
            self.answer(503, b"busy")
        elif path.startswith(_API):
            self.describe(path.removeprefix(_API).strip("/").split("/"))
        else:
            _, _, _, _, commit, name = path.split("/", 5)
            data = self.hub.files(commit)[name]
            self.answer(200, data, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": commit})

    do_HEAD = do_GET  # noqa: N815

    def describe(self, question: list[str]) -> None:
        """Answers which commit a revision is, or which files it has."""
        commits = {"main": COMMIT, "v1": EARLIER, COMMIT: COMMIT, EARLIER: EARLIER}
        commit = commits.get(question[1] if len(question) > 1 else "main")
        if commit is None:
            self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return
        listed: Any = {"id": "toy/gpt2", "sha": commit, "siblings": []}
        if question[0] == "tree":
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.hub.files(commit).items()
            ]
        self.answer(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def running(hub: FakeHub) -> Iterator[FakeHub]:
    """Serves the hub and sets its `port`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield hub
    hub.waiting.set()
    server.shutdown()
    server.server_close()
