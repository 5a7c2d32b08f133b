"""A web server that serves a folder and, at /camera.mjpg and /camera.ts, cameras; on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

Body = Callable[[], Iterator[bytes]]


class Handler(SimpleHTTPRequestHandler):
    """Files of the folder, and `live`: path -> (content type, endless body)."""

    def __init__(self, *args: object, live: dict[str, tuple[str, Body]], asked: list[str], **kwargs: object) -> None:
        self._live = live
        self._asked = asked
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._asked.append(self.path)
        path = self.path.partition("?")[0]
        if path not in self._live:
            super().do_GET()
            return
        kind, body = self._live[path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        try:
            for part in body():
                self.wfile.write(part)
        except OSError:
            pass  # the viewer has gone

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(
    folder: Path, live: dict[str, tuple[str, Body]] | None = None, asked: list[str] | None = None
) -> Iterator[str]:
    """The server's address, host:port. Requests are noted in `asked`."""
    handler = partial(Handler, directory=str(folder), live=live or {}, asked=[] if asked is None else asked)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def paced(parts: list[bytes], every_s: float, closed: Event) -> Body:
    """`parts` again and again, one every `every_s`, until `closed`."""

    def body() -> Iterator[bytes]:
        while True:
            for part in parts:
                yield part
                if closed.wait(every_s):
                    return

    return body
