"""Problems of a running installation, derived from its measurements, each with a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel

from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog
from stream.load_control import LEVELS, Level
from stream.threads import thread_states
from unblur.notify.base import DeliveryStatus
from unblur.web.pages.live import CameraStatus

LATEST_S = 1.5
"""Longest acceptable delay from a frame to its name."""
FEWEST_FPS = 4.0
"""Lowest acceptable rate of searched frames: a person who walks by is visible for a second or two."""
SETTLED = timedelta(seconds=10)
"""Time that a camera has to connect at first, and to be searched after it has connected."""
_LESS_WORK = (
    "connect fewer cameras to this machine, let them send fewer pictures a second, set a smaller detection.size, "
    "or use a machine with more cores or a GPU (unblur doctor says what is used)"
)
_LOST = ("stalled", "reconnecting")

Status = Literal["ok", "degraded", "failing"]


class Problem(BaseModel):
    """A problem and its remedy. `about` is the camera or the notifier concerned; null if it is the whole
    installation."""

    what: str
    remedy: str
    about: str | None = None


def status(ready: bool, cameras: Sequence[CameraStatus], problems: Sequence[Problem]) -> Status:
    """`failing` if no camera is searched that should be, `degraded` if there is any problem. Recordings that have ended
    are no failure."""
    live = [camera for camera in cameras if camera.state not in {"recording", "ended"}]
    ended = all(camera.state == "ended" for camera in cameras)
    if (not ready and not ended) or (live and all(camera.state in _LOST for camera in live)):
        return "failing"
    return "degraded" if problems else "ok"


def problems(
    cameras: Sequence[CameraStatus], deliveries: Sequence[DeliveryStatus], level: Level, now: datetime
) -> Iterator[Problem]:
    """Yield the problems of cameras, notifiers and load at the time `now` (timezone-aware)."""
    for camera in cameras:
        yield from _camera_problems(camera, now)
    for delivery in deliveries:
        if delivery.problem:
            yield Problem(
                what=f"{delivery.name}: events are not delivered: {delivery.problem}",
                remedy="see that it can be reached from this machine and takes what it is sent; events wait meanwhile",
                about=delivery.name,
            )
    yield from _load_problems(level)


def _camera_problems(camera: CameraStatus, now: datetime) -> Iterator[Problem]:
    settled = camera.since is not None and now - camera.since > SETTLED
    if camera.state in _LOST or (camera.state == "connecting" and (camera.last_error or settled)):
        why = f" ({camera.last_error})" if camera.last_error else ""
        yield Problem(
            what=f'"{camera.name}" is offline{why}',
            remedy="see that the camera is on, and that its address, name and password are right",
            about=camera.name,
        )
    elif camera.state == "live" and settled:
        yield from _speed_problems(camera)


def _speed_problems(camera: CameraStatus) -> Iterator[Problem]:
    fps, searched = camera.fps or 0.0, camera.searched_fps or 0.0
    if searched < min(FEWEST_FPS, fps / 2):
        yield Problem(
            what=f"{camera.name}: this machine searches {searched:.2g} of {fps:.2g} pictures a second",
            remedy=_LESS_WORK,
            about=camera.name,
        )
    if camera.delay_p95_s and camera.delay_p95_s > LATEST_S:
        yield Problem(
            what=f"{camera.name}: a name comes up to {camera.delay_p95_s:.1f} s after its picture",
            remedy=_LESS_WORK,
            about=camera.name,
        )


def _load_problems(level: Level) -> Iterator[Problem]:
    if level == LEVELS[0]:
        return
    searches = "" if level.search == 1 else f", and {level.search:.0%} of the usual time is spent on searches"
    done = "are not restored" if level.passes == 0 else f"are restored in {level.passes} passes of the network at most"
    yield Problem(what=f"this machine is behind: blurred faces {done}{searches}", remedy=_LESS_WORK)


def failing_threads() -> Iterator[Problem]:
    """Yield a problem for each supervised thread that failed and has not been restarted yet."""
    for state in thread_states():
        if state.problem:
            yield Problem(
                what=f"the thread {state.name} failed, and waits to be run again (restarts so far: {state.restarts})",
                remedy="the log says why, and where: please report it",
            )


def locked_stores(stores: Iterable[tuple[str, JsonlEventLog | SqlEventStore]]) -> Iterator[Problem]:
    """Yield a problem for each event store that another program holds locked."""
    for _, store in stores:
        if isinstance(store, SqlEventStore) and (since := store.busy_since):
            yield Problem(
                what=f"another program has held the event store {store.place} locked since "
                f"{since.isoformat(timespec='seconds')}: {store.waiting} events wait on disk",
                remedy="end that program (a database browser, a backup): what waits is then stored by itself",
            )
