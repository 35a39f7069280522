"""A server on loopback for a fixed set of paths; any other path is not found."""

import contextlib
import hashlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from autocomplete.common.errors import UserError

HOST, INDEX = "127.0.0.1", "index.html"
# The machine's own table may differ, and with a wrong type of .js or .wasm the page does not run.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".tflite": "application/octet-stream",
    ".txt": "text/plain; charset=utf-8",
}
HEADERS = {
    # cross-origin isolation: without it a browser gives no threads to WebAssembly
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # nothing is loaded from or sent to another host
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # a browser keeps files, and asks each time whether they are still current
    "Cache-Control": "no-cache",
}
_BLOCK = 1 << 18


@dataclass(frozen=True)
class RunningServer:
    """A server that listens on its port."""

    server: ThreadingHTTPServer

    @property
    def address(self) -> str:
        """The page's URL."""
        return f"http://{HOST}:{self.server.server_address[1]}/"

    def serve(self) -> None:
        """Answers requests until Ctrl-C or a shutdown."""
        with contextlib.suppress(KeyboardInterrupt):
            self.server.serve_forever(poll_interval=0.1)


@contextlib.contextmanager
def listening(site: Mapping[str, Path | bytes], port: int) -> Iterator[RunningServer]:
    """A server of a site, which is a file or its content by path; port 0 takes any free port.

    Raises:
      UserError: if the port is taken or not allowed.
    """

    class Handler(_Handler):
        paths = site

    try:
        server = _Server((HOST, port), Handler)
    except OSError as error:
        raise UserError(f"port {port} on {HOST} cannot be had ({error.strerror}): say --port 0 or another") from None
    try:
        yield RunningServer(server)
    finally:
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Takes the port; unlike the base class it does not ask DNS for a name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # headers and body are two writes: the second would wait until a browser acknowledges the first
    disable_nagle_algorithm = True
    paths: Mapping[str, Path | bytes] = {}

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/") or INDEX
        source = self.paths.get(name)
        if source is None:
            return self._send_headers(HTTPStatus.NOT_FOUND, {"Content-Length": "0"})
        tag = _entity_tag(source)
        if self.headers.get("If-None-Match") == tag:
            return self._send_headers(HTTPStatus.NOT_MODIFIED, {"ETag": tag})
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        content_type = TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
        self._send_headers(HTTPStatus.OK, {"Content-Type": content_type, "Content-Length": str(size), "ETag": tag})
        if with_body:
            self._send_body(source)
        return None

    def _send_headers(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {**HEADERS, **headers}.items():
            self.send_header(key, value)
        self.end_headers()

    def _send_body(self, source: Path | bytes) -> None:
        with contextlib.suppress(ConnectionError):  # the browser has left
            if isinstance(source, bytes):
                self.wfile.write(source)
                return
            with source.open("rb") as file:
                while block := file.read(_BLOCK):
                    self.wfile.write(block)

    def log_message(self, format: str, *arguments: object) -> None:
        """Prints nothing: the browser shows what is missing."""


def _entity_tag(source: Path | bytes) -> str:
    """An ETag, which changes when the content does: of a file by its size and time, which packaging sets."""
    if isinstance(source, bytes):
        return f'"{hashlib.sha256(source).hexdigest()[:32]}"'
    status = source.stat()
    return f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
