"""/metrics, /health/live and /health/ready of one worker, on the loopback interface unless the settings say other."""

import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

LOOPBACK = "127.0.0.1"

Ready = Callable[[], bool]


class Health:
    """A small server on a thread of its own. ``port`` 0 takes a free one; ``address`` says which."""

    def __init__(self, port: int, registry: CollectorRegistry, ready: Ready, host: str = LOOPBACK) -> None:
        self._metrics, self._ready = make_wsgi_app(registry), ready
        self._server = make_server(host, port, self._answer, WSGIServer, _Quiet)
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    @property
    def address(self) -> str:
        """http://host:port."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: Any, start: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return self._metrics(environ, start)  # type: ignore[no-any-return]
        if path == "/health/live":  # touches nothing: if this thread answers, the process lives
            return _plain(start, "200 OK", "live")
        if path in ("/health", "/health/ready"):
            return _plain(start, "200 OK", "ready") if self._ready() else _plain(start, "503 Not Ready", "not ready")
        return _plain(start, "404 Not Found", "/metrics, /health/live, /health/ready")


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """No line on stderr for each scrape."""


def _plain(start: Any, status: str, text: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]
