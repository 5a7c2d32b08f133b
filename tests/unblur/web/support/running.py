"""A whole run with its server, over a camera that can be made to stall."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2

from configs.loader import load
from configs.schema import Webhook as Hook
from stream.storage.database import DURABLE, connect
from stream.storage.images import read_picture
from tests.stream.support.web import Body, serve
from tests.unblur.notify.support.waiting import until
from tests.unblur.web.support.serving import QUICK
from unblur.assembly.pipeline_run import Run, assemble
from unblur.notify.base import Notifier
from unblur.notify.webhook import WebhookNotifier
from unblur.web.auth.accounts import Accounts
from unblur.web.auth.service import AuthService
from unblur.web.pages.health import Health
from unblur.web.pages.live import LiveView
from unblur.web.pages.metrics import EventCounter, Metrics
from unblur.web.transport.app import Page

CAMERA = "front door"
_SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@dataclass(slots=True)
class House:
    """What runs; while `stalled` is set the camera keeps its connection and sends nothing."""

    address: str
    run: Run
    accounts: Accounts
    stalled: threading.Event = field(default_factory=threading.Event)
    _worker: threading.Thread | None = None

    def start(self) -> None:
        self._worker = threading.Thread(target=self.run.start)
        self._worker.start()

    def until_seen(self) -> None:
        """Wait for the first event, and for enough frames to compute their rate."""
        until(lambda: self.run.meter.read().counts.get("events", 0) > 0)
        until(lambda: self.run.meter.read().counts["frames"] >= 5)

    def stop(self) -> None:
        for pipeline in self.run.pipelines:
            pipeline.stop()
        if self._worker:
            self._worker.join()


@contextmanager
def house(folder: Path, portrait: Path, token: str | None = None, path: str = "/camera.mjpg") -> Iterator[House]:
    """A server with one camera that sends this portrait, at its usual path, and no account. Its run has not begun."""
    stalled, closed = threading.Event(), threading.Event()
    live = {"/camera.mjpg": ("multipart/x-mixed-replace; boundary=frame", _camera(portrait, stalled, closed))}
    with serve(folder, live) as host, ExitStack() as stack:
        stack.callback(closed.set)
        config = load(None, {
            "cameras": [{"name": CAMERA, "source": f"http://viewer:s3cret@{host}{path}"}],
            "output": {"picture": "webrtc", "store": f"sqlite:///{folder}/events.sqlite", "evidence": folder / "crops"},
            "web": {"port": 0, "token": token},
            "patience_s": None,  # as `unblur serve` waits
        })  # fmt: skip
        engine = connect(f"sqlite:///{folder / 'application.sqlite'}", DURABLE)
        stack.callback(engine.dispose)
        hook = Hook.model_validate({"name": "hook", "url": "http://127.0.0.1:1/", "secret": _SECRET})
        tally, notices = EventCounter(), _opened([WebhookNotifier(hook, engine)], stack)
        run = assemble(config, stack, lambda _: None, tally, *notices, make_live_view=partial(LiveView, config.web))
        watching = run.outputs.live_view
        assert isinstance(watching, LiveView)
        reception = AuthService(engine, QUICK)
        pages: list[Page] = [Health(run, config.output, notices), Metrics(run, tally, notices), *reception.pages]
        watching.open(reception.guard(token), pages)
        made = House(watching.address, run, reception.accounts, stalled)
        try:
            yield made
        finally:
            made.stop()


def _opened(notices: Sequence[Notifier], stack: ExitStack) -> Sequence[Notifier]:
    for notice in notices:
        stack.callback(notice.close)
        notice.open([CAMERA])
    return notices


def _camera(portrait: Path, stalled: threading.Event, closed: threading.Event) -> Body:
    encoded = cv2.imencode(".jpg", read_picture(portrait))[1].tobytes()
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(encoded)}\r\n\r\n"
    part = head.encode() + encoded + b"\r\n"

    def body() -> Iterator[bytes]:
        while not closed.wait(0.2):
            if not stalled.is_set():
                yield part

    return body
