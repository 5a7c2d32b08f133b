"""A server with an event store, evidence, and a user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from configs.schema import Web
from stream.events.event_store import SqlEventStore
from stream.events.pagination import EventPager
from stream.results import Event
from stream.sources.live import LiveSource
from stream.sources.stream_spec import StreamSpec
from stream.storage.database import connect
from stream.storage.images import write_picture
from stream.values import Image, Method
from tests.stream.support.events import an_event
from unblur.feedback import Feedback
from unblur.people.photo_review import Rejection
from unblur.web.auth.middleware import auth_middleware
from unblur.web.pages.event_crops import read_crop
from unblur.web.pages.events_page import EventsPage
from unblur.web.pages.live import LiveView
from unblur.web.transport.access import Role, User, set_current_user

TEN = datetime(2026, 11, 22, 10, tzinfo=UTC)
COLOURS = {"raw": (10, 60, 200), "restored": (20, 200, 90)}
"""Of the evidence, BGR."""


@dataclass
class Register:
    """Open until it is closed. `stays` says whether who was let in may stay; `added` and `noted` are what its
    neighbours were told."""

    folder: Path
    role: Role = "operator"
    complaint: Rejection | None = None
    stays: Callable[[], bool] = lambda: True
    added: list[tuple[str, Image, str]] = field(default_factory=list)
    noted: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.url = f"sqlite:///{self.folder}/events.sqlite"
        self.store = SqlEventStore(self.url)
        self.archive = EventPager(self.url)
        self.engine = connect(f"sqlite:///{self.folder}/application.sqlite")
        self.feedback = Feedback(self.engine)
        read = partial(read_crop, self.folder)
        self.page = EventsPage(self.archive, self.feedback, read, self._add, self._note)
        self.watching = LiveView(Web(port=0), [LiveSource(StreamSpec("rtsp://127.0.0.1:1/none"), "lobby")])
        self.watching.open(_letting_in(self), [self.page])

    def see(self, *events: Event) -> None:
        """Write them down with their evidence, and announce them."""
        for event in events:
            for kind, colour in COLOURS.items():
                image: Image = np.full((48, 48, 3), colour, np.uint8)
                if event.evidence and not (kind == "restored" and event.identity.deblurred_by == "none"):
                    write_picture(self.folder / f"{event.id}.{kind}.png", image)
            self.store.write(event)
            self.watching.announcer.write(event)

    def close(self) -> None:
        self.watching.close()
        self.archive.close()
        self.store.close()
        self.engine.dispose()

    def _add(self, person: str, crop: Image, who: str, sure: bool) -> Rejection | None:
        if self.complaint and not (sure and self.complaint.kind == "doubtful"):
            return self.complaint
        self.added.append((person, crop, who))
        return None

    def _note(self, who: str, what: str, about: str) -> None:
        self.noted.append((who, what, about))


def _letting_in(register: Register) -> Middleware:
    """As the real guard does, but everybody is Ada, in the role that the register says."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        async def answer(asked: web.Request) -> web.StreamResponse:
            set_current_user(asked, ada(), lambda: ada() if register.stays() else None)
            return await handler(asked)

        return await real(request, answer)

    def ada() -> User:
        return User("Ada", register.role)

    real = auth_middleware(None)
    return guarded


def seen(number: int, name: str | None = "Eileen Collins", method: Method = "cnn", minute: int | None = None) -> Event:
    """Event `number`, so many minutes past ten, with evidence."""
    event = an_event(number, name, wall_time=TEN + timedelta(minutes=number if minute is None else minute))
    restored = None if method == "none" else 0.63
    identity = replace(event.identity, deblurred_by=method, restored_score=restored)
    return replace(event, identity=identity, evidence=f"{event.id}.raw.png")


EVENTS: Sequence[Event] = [
    seen(0),
    seen(1, None, "none"),
    replace(seen(2, "山田", "richardson-lucy"), camera="yard", type="update"),
    replace(seen(3, "山田"), camera="yard", type="end", wall_time=None),
    replace(seen(4, None), evidence=None),
]
