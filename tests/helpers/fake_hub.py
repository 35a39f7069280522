"""A hub of models on loopback."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

COMMIT, EARLIER = "c0ffee" * 6 + "beef", "0ddba11" * 5 + "abcde"


@dataclass
class FakeHub:
    """A repository toy/gpt2 on loopback, with two commits of which the earlier one lacks a file."""

    folder: Path
    busy: int = 0  # that many requests are answered with 503
    silent: bool = False
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, authorization
    port: int = 0
    waiting: threading.Event = field(default_factory=threading.Event)

    @property
    def environment(self) -> dict[str, str]:
        return {"HF_ENDPOINT": f"http://127.0.0.1:{self.port}"}

    def files(self, commit: str) -> dict[str, bytes]:
        found = {p.relative_to(self.folder).as_posix(): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}
        if commit == EARLIER:
            del found["README.md"]
        return found | {"pytorch_model.bin": b"never to be downloaded"}


def handler(world: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/toy/gpt2" not in self.path:  # what huggingface_hub would like to know besides
                self.answer(404, b"{}")
                return
            world.asked.append((self.command, self.path, self.headers.get("Authorization")))
            if world.silent:
                world.waiting.wait(60)
                return
            if world.busy:
                world.busy -= 1
                self.answer(503, b"busy")
                return
            path = self.path.partition("?")[0]
            commits = {"main": COMMIT, "v1": EARLIER, COMMIT: COMMIT, EARLIER: EARLIER}
            if path.startswith("/api/models/toy/gpt2"):
                rest = path.removeprefix("/api/models/toy/gpt2").strip("/").split("/")
                commit = commits.get(rest[1] if len(rest) > 1 else "main")
                if commit is None:
                    self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                    return
                listed: Any = {"id": "toy/gpt2", "sha": commit, "siblings": []}
                if rest[0] == "tree":
                    listed = [
                        {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                        for name, data in world.files(commit).items()
                    ]
                self.answer(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})
                return
            _, _, _, _, commit, name = path.split("/", 5)
            data = world.files(commit)[name]
            self.answer(200, data, {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": commit})

        do_HEAD = do_GET  # noqa: N815

        def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
