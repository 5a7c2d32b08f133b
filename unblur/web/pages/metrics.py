"""`/metrics`: measurements of the run for Prometheus (text format 0.0.4)."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable, Sequence

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from stream.events.event_store import SqlEventStore
from stream.metrics import BOUNDS_S, MetricsSnapshot, StageTiming
from stream.results import Event
from stream.sources.factory import Live
from stream.threads import thread_states
from unblur.assembly.pipeline_run import Run
from unblur.notify.base import DeliveryStatus, Notifier
from unblur.web.transport.openapi import Endpoint

_CROPS = {"crops passed over": "a better crop came", "looks dropped": "no time"}
_BOUNDS = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]


class EventCounter:
    """An event log that only counts events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: Counter[tuple[str, bool]] = Counter()

    def write(self, event: Event) -> None:
        with self._lock:
            self._events[event.type, event.identity.name is not None] += 1

    def close(self) -> None:
        """Nothing to close."""

    def read(self) -> Counter[tuple[str, bool]]:
        """Number of events by type and by whether the person is known."""
        with self._lock:
            return self._events.copy()


class Metrics(Collector):
    """Prometheus collector of a run and its notifiers. Has its own registry, so that several runs do not mix."""

    name = "metrics"
    path = None

    def __init__(self, run: Run, event_counter: EventCounter, notifiers: Sequence[Notifier] = ()) -> None:
        self._run, self._event_counter, self._notifiers = run, event_counter, notifiers
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get("/metrics", self._scrape)]

    def operations(self) -> list[Endpoint]:
        return []

    async def _scrape(self, _: web.Request) -> web.Response:
        body = await asyncio.to_thread(generate_latest, self._registry)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_PLAIN_0_0_4})

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that nothing is collected before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        snapshot = self._run.snapshot()
        live = [source for source in self._run.sources if isinstance(source, Live)]
        yield from _camera_metrics(live, snapshot)
        yield from _search_metrics(live, snapshot)
        yield GaugeMetricFamily(
            "unblur_load_level", "Load level: steps by which work is reduced; 0: none.", self._run.load.steps
        )
        yield from _stage_metrics(snapshot)
        yield from _notification_metrics([notifier.delivery() for notifier in self._notifiers])
        yield from _internals(self._run)
        events = CounterMetricFamily("unblur_events_total", "Events.", labels=["type", "known"])
        for (kind, known), number in sorted(self._event_counter.read().items()):
            events.add_metric([kind, str(known).lower()], number)
        yield events
        live_view = self._run.outputs.live_view
        viewers = live_view.viewers if live_view else 0
        yield GaugeMetricFamily("unblur_webrtc_viewers", "Video streams being watched.", viewers)
        refused = live_view.refused if live_view else 0
        yield CounterMetricFamily("unblur_connections_refused_total", "Connections refused.", refused)


def _camera_metrics(sources: Sequence[Live], snapshot: MetricsSnapshot) -> Iterable[Metric]:
    """Metrics of live cameras; a recording has no rate, and drops nothing."""
    fps = GaugeMetricFamily("unblur_camera_fps", "Frames per second that arrive.", labels=["camera"])
    age = GaugeMetricFamily("unblur_frame_age_seconds", "Age of the newest frame.", labels=["camera"])
    dropped = CounterMetricFamily("unblur_frames_dropped_total", "Frames not shown.", labels=["reason", "camera"])
    reconnects = CounterMetricFamily("unblur_reconnects_total", "Reconnections of a camera.", labels=["camera"])
    for source in sources:
        status = source.status()
        fps.add_metric([source.camera], status.fps)
        if status.frame_age_s is not None:
            age.add_metric([source.camera], status.frame_age_s)
        dropped.add_metric(["detection", source.camera], status.dropped)
        dropped.add_metric(["overlay", source.camera], snapshot.by_camera.get(("pictures dropped", source.camera), 0))
        reconnects.add_metric([source.camera], status.reconnects)
    return fps, age, dropped, reconnects


def _search_metrics(sources: Sequence[Live], snapshot: MetricsSnapshot) -> Iterable[Metric]:
    """Search rate, identification delay and dropped samples of live cameras."""
    searched = GaugeMetricFamily(
        "unblur_camera_searched_fps", "Frames searched for faces per second.", labels=["camera"]
    )
    delay = GaugeMetricFamily(
        "unblur_name_delay_p95_seconds",
        "Delay from a frame to its name, 95th percentile of the last minute.",
        labels=["camera"],
    )
    dropped = CounterMetricFamily("unblur_samples_dropped_total", "Faces never identified.", labels=["camera"])
    for source in sources:
        searched.add_metric([source.camera], snapshot.searched_fps.get(source.camera, 0.0))
        if source.camera in snapshot.delay_p95_s:
            delay.add_metric([source.camera], snapshot.delay_p95_s[source.camera])
        dropped.add_metric([source.camera], snapshot.by_camera.get(("looks dropped", source.camera), 0))
    return searched, delay, dropped


def _stage_metrics(snapshot: MetricsSnapshot) -> Iterable[Metric]:
    seconds = HistogramMetricFamily("unblur_stage_seconds", "How long each stage takes.", labels=["stage"])
    for name, timing in snapshot.stages.items():
        seconds.add_metric([name], _cumulative(timing), timing.seconds)
    faces = CounterMetricFamily("unblur_faces_total", "Faces found, each in each frame.", labels=["camera"])
    for (what, camera), number in snapshot.by_camera.items():
        if what == "faces":
            faces.add_metric([camera], number)
    crops = CounterMetricFamily("unblur_crops_dropped_total", "Crops never identified.", labels=["reason"])
    for what, why in _CROPS.items():
        crops.add_metric([why], snapshot.counts.get(what, 0))
    return seconds, faces, crops


def _cumulative(timing: StageTiming) -> list[tuple[str, float]]:
    totals, total = [], 0
    for bound, number in zip(_BOUNDS, timing.buckets, strict=True):
        total += number
        totals.append((bound, float(total)))
    return totals


def _internals(run: Run) -> Iterable[Metric]:
    """Thread restarts, and events waiting for a locked store."""
    restarts = CounterMetricFamily("unblur_thread_restarts_total", "Failures of a thread.", labels=["thread"])
    for state in thread_states():
        restarts.add_metric([state.name], state.restarts + bool(state.problem))
    stores = [store for _, store in run.outputs.event_stores if isinstance(store, SqlEventStore)]
    waiting = sum(store.waiting for store in stores)
    return restarts, GaugeMetricFamily("unblur_events_waiting", "Events waiting for a locked store.", waiting)


def _notification_metrics(deliveries: Sequence[DeliveryStatus]) -> Iterable[Metric]:
    delivered = CounterMetricFamily("unblur_notifications_told_total", "Events delivered.", labels=["to"])
    dropped = CounterMetricFamily("unblur_notifications_lost_total", "Events dropped undelivered.", labels=["to"])
    waiting = GaugeMetricFamily("unblur_notifications_waiting", "Events waiting for delivery.", labels=["to"])
    for each in deliveries:
        delivered.add_metric([each.name], each.delivered)
        dropped.add_metric([each.name], each.dropped)
        waiting.add_metric([each.name], each.waiting)
    return delivered, dropped, waiting
