"""The health page, the health report, and the probes of service managers (liveness, readiness)."""

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
from unblur.web.pages.live import CameraStatus, LiveView, camera_info
from unblur.web.transport.openapi import Endpoint
from unblur.web.transport.rendering import render

DROPS = {
    "detect": "frames dropped",
    "crop": "crops passed over",
    "deblur": "looks dropped",
    "recognise": "tracks forgotten",
    "overlay": "pictures dropped",
}
"""The counter of what is dropped before each stage."""
_NOT_RUNNING = "no pipeline is at work: it has not begun, or its recordings have ended"


class Stage(BaseModel):
    """Recent duration of a stage, in milliseconds, and how much was dropped before it."""

    name: str
    p50_ms: float
    p95_ms: float
    dropped: int


class Network(BaseModel):
    """The backend that runs a network, and why each preferred one was rejected (`passed_over`)."""

    name: str
    backend: str
    passed_over: dict[str, str]


class LostPeer(BaseModel):
    """A WebRTC peer that signaled, but whose video never arrived; `problem` names the layer that failed."""

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
    """The health report. `why` says why the service is not ready; `problems` lists each problem with its remedy."""

    version: str
    status: Status
    problems: list[Problem]
    started: AwareDatetime
    uptime_s: float
    ready: bool
    why: str | None
    people: int
    viewers: int
    cameras: list[CameraStatus]
    stages: list[Stage]
    networks: list[Network]
    disk: list[DiskUsage]
    notifications: list[Notification]
    lost_peers: list[LostPeer] = []


class Health:
    """The health page of a run; `output` says where events and evidence are stored."""

    name = "health"
    path = "/health"

    def __init__(self, run: Run, output: Output, notifiers: Sequence[Notifier] = ()) -> None:
        self._run, self._notifiers = run, notifiers
        self._started = datetime.now(UTC)
        self._disk = DiskMonitor(_measured_paths(output))

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/health", self._page),
            web.get("/healthz", self._liveness),
            web.get("/readyz", self._readiness),
        ]

    def operations(self) -> list[Endpoint]:
        return [Endpoint("GET", "/health", "How everything is", self._get_report, response_model=Report)]

    async def _page(self, request: web.Request) -> web.Response:
        return render(request, "health")

    async def _liveness(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _readiness(self, _: web.Request) -> web.Response:
        """The readiness probe. A run exists only once its networks are loaded."""
        if why := self._why_not_ready():
            return web.json_response({"ready": False, "why": why}, status=503)
        return web.json_response({"ready": True})

    def _why_not_ready(self) -> str | None:
        """Why it is not ready; None if it is."""
        failing = next(failing_threads(), None)
        return failing.what if failing else None if self._is_running else _NOT_RUNNING

    @property
    def _is_running(self) -> bool:
        """Whether the run is running, or has no cameras to wait for."""
        return self._run.running or not self._run.sources

    async def _get_report(self, _: web.Request, __: object) -> Report:
        return await asyncio.to_thread(self._make_report)

    def _make_report(self) -> Report:
        run, live_view, snapshot = self._run, self._run.outputs.live_view, self._run.snapshot()
        failures = live_view.failures if isinstance(live_view, LiveView) else []
        why = self._why_not_ready()
        cameras = [camera_info(source, snapshot) for source in run.sources]
        deliveries = [notifier.delivery() for notifier in self._notifiers]
        found_problems = [
            *problems(cameras, deliveries, run.load.level, datetime.now(UTC)),
            *locked_stores(run.outputs.event_stores),
            *failing_threads(),
        ]
        return Report(
            version=__version__,
            status=status(why is None, cameras, found_problems),
            problems=found_problems,
            started=self._started,
            uptime_s=(datetime.now(UTC) - self._started).total_seconds(),
            ready=why is None,
            why=why,
            people=run.recognizer.people,
            viewers=live_view.viewers if live_view else 0,
            cameras=cameras,
            stages=_stages(snapshot),
            networks=[
                Network(name=each.name, backend=each.backend, passed_over=dict(each.passed_over))
                for each in run.networks
            ],
            disk=self._disk.spaces(),
            notifications=[_notification(each) for each in deliveries],
            lost_peers=[LostPeer(**asdict(each)) for each in failures],
        )


def _stages(snapshot: MetricsSnapshot) -> list[Stage]:
    return [
        Stage(
            name=name,
            p50_ms=timing.p50_s * 1000,
            p95_ms=timing.p95_s * 1000,
            dropped=snapshot.counts.get(DROPS.get(name, ""), 0),
        )
        for name, timing in snapshot.stages.items()
    ]


def _measured_paths(output: Output) -> dict[str, Path]:
    """What is stored on a disk of this machine, by name."""
    store = database_file(connect(output.store)) if output.store else None
    return {name: path for name, path in (("events", store), ("evidence", output.evidence)) if path}


_EVERY_S = 60.0
"""Minimum interval between measurements: an evidence folder may hold a million files."""


class DiskUsage(BaseModel):
    """Disk usage of a file or folder, and the free space of its disk, in bytes."""

    name: str
    size: int
    free: int


class DiskMonitor:
    """Measures the disk usage of named files and folders, at most once a minute. Thread-safe."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._lock = threading.Lock()
        self._measured_s = -_EVERY_S
        self._spaces: list[DiskUsage] = []

    def spaces(self) -> list[DiskUsage]:
        """The latest measurements. Raises OSError if a disk is gone."""
        with self._lock:
            if time.monotonic() - self._measured_s >= _EVERY_S:
                self._spaces = [_measure(name, path) for name, path in self._paths.items()]
                self._measured_s = time.monotonic()
            return self._spaces


def _measure(name: str, path: Path) -> DiskUsage:
    folder = path if path.is_dir() else path.parent
    return DiskUsage(name=name, size=sum(_file_sizes(path)), free=shutil.disk_usage(folder).free)


def _file_sizes(path: Path) -> Iterator[int]:
    """Sizes of a folder's files, or of a database file with SQLite's additional files (-wal, -shm)."""
    if path.is_dir():
        with os.scandir(path) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed meanwhile
                    yield entry.stat().st_size
    else:
        for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            with suppress(FileNotFoundError):
                yield file.stat().st_size


def _notification(delivery: DeliveryStatus) -> Notification:
    return Notification(
        name=delivery.name,
        told=delivery.delivered,
        waiting=delivery.waiting,
        lost=delivery.dropped,
        problem=delivery.problem,
    )
