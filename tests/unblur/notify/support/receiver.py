"""A real web server that receives webhooks: it may be down, slow or failing."""

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
    """Make an answer with this status and these headers, without a body."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(number)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


class Receiver:
    """Records every request in `calls`, and answers with the current `answer`."""

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
