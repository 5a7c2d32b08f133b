"""A real web server that takes webhooks: it may be down, slow or in trouble."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.ending import at_end

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True, slots=True)
class Call:
    path: str
    headers: Mapping[str, str]
    body: bytes


def status(number: int, **headers: str) -> Answer:
    """Answer so, and nothing more."""

    def answer(asked: BaseHTTPRequestHandler) -> None:
        asked.send_response(number)
        for name, value in headers.items():
            asked.send_header(name.replace("_", "-"), value)
        asked.send_header("Content-Length", "0")
        asked.end_headers()

    return answer


class Receiver:
    """Notes every call in `calls`, and answers as `answer` says at that moment."""

    def __init__(self, answer: Answer | None = None, port: int = 0) -> None:
        self.calls: queue.Queue[Call] = queue.Queue()
        self.answer = answer or status(204)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        at_end(self.close)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.put(Call(self.path, dict(self.headers), body))
                receiver.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
