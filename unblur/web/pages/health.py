"""How everything is: a page for people, and probes for what keeps the service running."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from aiohttp import web
from pydantic import AwareDatetime, BaseModel

from configs.schema import Output
from stream.metrics import MetricsSnapshot
from stream.storage.database import connect, database_file
from unblur import __version__
from unblur.assembly.pipeline_run import Run
from unblur.notify.base import DeliveryStatus, Notifier
from unblur.web.pages.health_problems import Problem, Status, failing_threads, locked_stores, problems, status
from unblur.web.pages.live import Camera, LiveView, camera_info
from unblur.web.transport.openapi import Endpoint
from unblur.web.transport.rendering import render

DROPS = {
    "detect": "frames dropped",
    "crop": "crops passed over",
    "deblur": "looks dropped",
    "recognise": "tracks forgotten",
    "overlay": "pictures dropped",
}
"""What is dropped before a stage has seen it, by the name under which it is counted."""
_AT_REST = "no pipeline is at work: it has not begun, or its recordings have ended"


class Stage(BaseModel):
    """How long a stage took lately, in milliseconds, and how much was dropped before it."""

    name: str
    p50_ms: float
    p95_ms: float
    dropped: int


class Network(BaseModel):
    """What runs a network, and why what would have been better does not."""

    name: str
    backend: str
    passed_over: dict[str, str]


class LostPeer(BaseModel):
    """A WebRTC peer that signaled, and to or from which no picture went; `problem` says in which layer it ended."""

    kind: Literal["viewer", "guest"]
    camera: str
    at: AwareDatetime
    problem: str


class Notification(BaseModel):
    """How many events a notifier delivered (`told`), dropped (`lost`), and still has to deliver."""

    name: str
    told: int
    waiting: int
    lost: int
    problem: str | None


class Report(BaseModel):
    """How everything is. `why` says why it is not ready; `problems` what is not as it should be, and what helps."""

    version: str
    status: Status
    problems: list[Problem]
    started: AwareDatetime
    uptime_s: float
    ready: bool
    why: str | None
    people: int
    viewers: int
    cameras: list[Camera]
    stages: list[Stage]
    networks: list[Network]
    disk: list[DiskUsage]
    notifications: list[Notification]
    lost_peers: list[LostPeer] = []


class Health:
    """The page on a run, whose `output` says where events and evidence lie."""

    name = "health"
    path = "/health"

    def __init__(self, run: Run, output: Output, notices: Sequence[Notifier] = ()) -> None:
        self._run, self._notices = run, notices
        self._started = datetime.now(UTC)
        self._disk = DiskMonitor(_places(output))

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/health", self._page),
            web.get("/healthz", self._alive),
            web.get("/readyz", self._ready),
        ]

    def operations(self) -> list[Endpoint]:
        return [Endpoint("GET", "/health", "How everything is", self._reported, response_model=Report)]

    async def _page(self, request: web.Request) -> web.Response:
        return render(request, "health")

    async def _alive(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _ready(self, _: web.Request) -> web.Response:
        """A run exists only once its networks are loaded."""
        if why := self._why_not():
            return web.json_response({"ready": False, "why": why}, status=503)
        return web.json_response({"ready": True})

    def _why_not(self) -> str | None:
        """Why it is not ready; None if it is."""
        failing = next(failing_threads(), None)
        return failing.what if failing else None if self._at_work else _AT_REST

    @property
    def _at_work(self) -> bool:
        """Where no camera is configured there is nothing to wait for."""
        return self._run.running or not self._run.sources

    async def _reported(self, _: web.Request, __: object) -> Report:
        return await asyncio.to_thread(self._report)

    def _report(self) -> Report:
        run, live_view, reading = self._run, self._run.outputs.live_view, self._run.snapshot()
        failures = live_view.failures if isinstance(live_view, LiveView) else []
        why = self._why_not()
        cameras = [camera_info(source, reading) for source in run.sources]
        deliveries = [notice.delivery() for notice in self._notices]
        found = [
            *problems(cameras, deliveries, run.load.level, datetime.now(UTC)),
            *locked_stores(run.outputs.event_stores),
            *failing_threads(),
        ]
        return Report(
            version=__version__,
            status=status(why is None, cameras, found),
            problems=found,
            started=self._started,
            uptime_s=(datetime.now(UTC) - self._started).total_seconds(),
            ready=why is None,
            why=why,
            people=run.recognizer.people,
            viewers=live_view.viewers if live_view else 0,
            cameras=cameras,
            stages=_stages(reading),
            networks=[
                Network(name=each.name, backend=each.backend, passed_over=dict(each.passed_over))
                for each in run.networks
            ],
            disk=self._disk.spaces(),
            notifications=[_notification(each) for each in deliveries],
            lost_peers=[LostPeer(**asdict(each)) for each in failures],
        )


def _stages(reading: MetricsSnapshot) -> list[Stage]:
    return [
        Stage(
            name=name,
            p50_ms=timing.p50_s * 1000,
            p95_ms=timing.p95_s * 1000,
            dropped=reading.counts.get(DROPS.get(name, ""), 0),
        )
        for name, timing in reading.stages.items()
    ]


def _places(output: Output) -> dict[str, Path]:
    """What lies on a disk of this machine."""
    store = database_file(connect(output.store)) if output.store else None
    return {name: path for name, path in (("events", store), ("evidence", output.evidence)) if path}


_EVERY_S = 60.0
"""A folder of evidence may hold a million files."""


class DiskUsage(BaseModel):
    """What something takes of its disk, and what is left there, in bytes."""

    name: str
    size: int
    free: int


class DiskMonitor:
    """Measures files and folders by their names here, at most once a minute. Safe to use from several threads."""

    def __init__(self, places: Mapping[str, Path]) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._measured_s = -_EVERY_S
        self._spaces: list[DiskUsage] = []

    def spaces(self) -> list[DiskUsage]:
        """Raises OSError if a disk is gone."""
        with self._lock:
            if time.monotonic() - self._measured_s >= _EVERY_S:
                self._spaces = [_space(name, path) for name, path in self._places.items()]
                self._measured_s = time.monotonic()
            return self._spaces


def _space(name: str, path: Path) -> DiskUsage:
    folder = path if path.is_dir() else path.parent
    return DiskUsage(name=name, size=sum(_sizes(path)), free=shutil.disk_usage(folder).free)


def _sizes(path: Path) -> Iterator[int]:
    """Of a folder's files; of a database with what SQLite keeps beside it."""
    if path.is_dir():
        with os.scandir(path) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed meanwhile
                    yield entry.stat().st_size
    else:
        for beside in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            with suppress(FileNotFoundError):
                yield beside.stat().st_size


def _notification(delivery: DeliveryStatus) -> Notification:
    return Notification(
        name=delivery.name,
        told=delivery.delivered,
        waiting=delivery.waiting,
        lost=delivery.dropped,
        problem=delivery.problem,
    )
