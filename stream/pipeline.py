"""The loop: what runs where, what waits, and what is dropped.

    recorded   decode =| see =| restore =| name =| show       each `=|` waits when full: nothing dropped, all in order
    live       capture -> see -> newest look of each track -> name
                            \\-> newest scene of the camera -> show

Every word but `capture` (the source's own) is a thread; `name` is one for all live cameras. A live picture never waits
for a name: its scene carries the names known by then. One that is neither searched nor watched is not even converted.
What is left out when the machine is behind: `stream/load_control.py`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Protocol

from stream.errors import DamagedSourceError
from stream.identification import IdentificationWorker
from stream.interfaces import Source, always
from stream.load_control import LONGEST_TURN_S, LoadController
from stream.media.frame_conversion import Rotation, rotate
from stream.metrics import StageMetrics
from stream.queues import BoundedQueue, LatestQueue
from stream.results import AnnotatedFrame, FaceSample, FrameResult
from stream.sample_queue import SampleQueue, Waiting
from stream.threads import DECODING_STEPS, lower_priority
from stream.values import Frame, Restoration, Track

_ENDINGS_NOTICED_S = 0.25
_PUMP_S = 0.01
_SHOWN_EVERY_S = 0.06
"""The longest that a watched camera waits for its turn to search before it shows its next picture."""
_SILENT_S = 1.5
"""Longer than the tracker remembers: a camera that returns sees new tracks."""


Restored = tuple[FrameResult, list[Restoration]]
"""A sighting with the restorations of its looks, in order."""


class Analyzer(Protocol):
    """Finds and follows the faces of one camera."""

    def should_detect(self, pts_s: float, patience_s: float, /) -> bool:
        """Whether the picture of this media time is to be searched; of a live camera asked once for each, in order,
        before it is seen. To answer may take `patience_s`."""
        ...

    def process(self, frame: Frame) -> FrameResult: ...
    def flush(self) -> Sequence[FaceSample]:
        """The source has ended: what is still worth identifying."""
        ...


def _watched() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Camera:
    """A source, the eye that watches it, and where its scenes go; `show` is called by one thread. While a live camera
    is not `watched`, which any thread may ask, scenes may be left out. `rotation` turns the source's frames clockwise,
    in degrees."""

    source: Source
    analyzer: Analyzer
    show: Callable[[AnnotatedFrame], None]
    watched: Callable[[], bool] = _watched
    rotation: Rotation = 0

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """The source's, upright."""
        return (rotate(frame, self.rotation) for frame in self.source.frames(wanted))


class Pipeline:
    """Runs cameras side by side until their sources end, somebody calls `stop`, or something fails.

    When `run` returns, everything seen has been named, logged and shown; if it was stopped, of live cameras the looks
    that still waited are counted as dropped. It raises the worst error of any thread after all have come to rest; a
    damaged recording alone stops nothing else.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        naming: IdentificationWorker,
        meter: StageMetrics,
        load: LoadController | None = None,
    ) -> None:
        """`load` says how much is done for live cameras."""
        self._cameras = cameras
        self._load = load or LoadController()
        self._naming = naming
        self._meter = meter
        self._belts: list[
            BoundedQueue[Frame] | BoundedQueue[FrameResult] | BoundedQueue[Restored] | BoundedQueue[AnnotatedFrame]
        ] = []
        self._looks = SampleQueue()
        self._endings: deque[Sequence[Track]] = deque()
        self._heard: dict[str, float] = {}
        self._running = False
        self._errors: list[BaseException] = []
        for camera in cameras:
            name = camera.source.camera
            meter.observe_counter("looks dropped", partial(self._looks.dropped, name), name)

    @property
    def running(self) -> bool:
        """Whether it is between its beginning and its end."""
        return self._running

    def stop(self) -> None:
        """End the run soon. May be called from any thread."""
        for camera in self._cameras:
            camera.source.close()
        for belt in self._belts:
            belt.abort()
        self._looks.cancel()

    def run(self, pump: Callable[[], bool] | None = None) -> None:
        """Run to the end. `pump`, if given, is called over and over by this thread, the place for a window's loop, and
        ends the run when it returns False."""
        stages = [stage for camera in self._cameras for stage in self._stage_functions(camera)]
        self._errors = []
        lanes: list[Future[None]] = []
        with ThreadPoolExecutor(len(stages) + 1, "stage") as threads:
            try:
                self._running = True
                threads.submit(self._guarded, self._identification_loop)
                for stage in stages:
                    lanes.append(threads.submit(self._guarded, stage))  # one by one: what has begun must be known
                while wait(lanes, timeout=_PUMP_S if pump else None).not_done:
                    if pump and not pump():
                        break
            finally:
                self._running = False
                self._join(lanes, len(stages))
        _raise_worst(self._errors)

    def _join(self, lanes: Sequence[Future[None]], stages: int) -> None:
        """Bring all threads to their end, even if somebody is too impatient to wait for it, or interrupted their start:
        then one that has begun may be missing among `lanes`, and all are stopped."""
        if len(lanes) < stages or not all(lane.done() for lane in lanes):
            self.stop()
        try:
            wait(lanes)
        finally:
            self._looks.close()

    def _guarded(self, stage: Callable[[], None]) -> None:
        """A stage that does not die silently, whoever knows of its thread."""
        with _Guard(self._errors, self.stop):
            stage()

    def _stage_functions(self, camera: Camera) -> tuple[Callable[[], None], ...]:
        return self._live_stages(camera) if camera.source.live else self._recorded_stages(camera)

    def _recorded_stages(self, camera: Camera) -> tuple[Callable[[], None], ...]:
        name = camera.source.camera
        frames, sightings, restored, scenes = (
            BoundedQueue[Frame](),
            BoundedQueue[FrameResult](),
            BoundedQueue[Restored](),
            BoundedQueue[AnnotatedFrame](),
        )
        self._belts += [frames, sightings, restored, scenes]
        last: list[FaceSample] = []

        def decode() -> None:
            with frames.closing():
                for frame in camera.frames():
                    if not frames.put(frame):
                        return

        def see() -> None:
            with sightings.closing():
                for frame in frames:
                    self._meter.count("frames", camera=name)
                    sightings.put(self._analyze(camera, frame))
                last.extend(camera.analyzer.flush())

        def restore() -> None:
            with restored.closing():
                for sighting in sightings:
                    restored.put((sighting, self._naming.restore(sighting.looks)))

        def identify() -> None:
            with scenes.closing():
                for sighting, restorations in restored:
                    self._naming.identify_restored(sighting.looks, restorations)
                    names = self._naming.names(name)
                    scenes.put(AnnotatedFrame(sighting.frame, sighting.tracks, names, tentative_boxes=sighting.others))
                    self._naming.end(sighting.ended)
                self._naming.identify(last)
                self._naming.end_camera(name)

        def show() -> None:
            for scene in scenes:
                camera.show(scene)

        return decode, see, restore, identify, show

    def _live_stages(self, camera: Camera) -> tuple[Callable[[], None], ...]:
        name = camera.source.camera
        scenes: LatestQueue[str, AnnotatedFrame] = LatestQueue()
        self._meter.observe_counter("pictures dropped", lambda: scenes.dropped, name)

        def wanted(pts_s: float) -> bool:
            self._heard[name] = time.monotonic()
            self._meter.count("frames", camera=name)
            watched = camera.watched()
            return camera.analyzer.should_detect(pts_s, _SHOWN_EVERY_S if watched else LONGEST_TURN_S) or watched

        def see() -> None:
            lower_priority(DECODING_STEPS)
            with scenes.closing():
                for frame in camera.frames(wanted):
                    sighting = self._analyze(camera, frame)
                    self._queue(sighting.looks)
                    self._endings.append(sighting.ended)
                    names, restoring = self._naming.names(name), self._naming.restoring(name)
                    scenes.put(name, AnnotatedFrame(frame, sighting.tracks, names, restoring, sighting.others))
                self._queue(camera.analyzer.flush())

        def show() -> None:
            while newest := scenes.get_batch():
                for scene in newest:
                    camera.show(scene)

        return see, show

    def _analyze(self, camera: Camera, frame: Frame) -> FrameResult:
        sighting = camera.analyzer.process(frame)
        self._naming.update_tracks(sighting)
        return sighting

    def _queue(self, looks: Sequence[FaceSample]) -> None:
        for look in looks:
            self._looks.put(look)

    def _identification_loop(self) -> None:
        """The one identify worker of all live cameras: what waits is taken in batches."""
        ended: list[Track] = []
        while not self._looks.closed:
            # Endings are taken before looks, and held while one of theirs waits: it must not come too late.
            for _ in range(len(self._endings)):
                ended += self._endings.popleft()
            self._identify(self._looks.take(_ENDINGS_NOTICED_S, self._load.batch, self._load.oldest_s))
            waiting = self._looks.waiting()
            self._end([track for track in ended if (track.camera, track.id) not in waiting])
            ended = [track for track in ended if (track.camera, track.id) in waiting]
            self._end_the_silent({camera for camera, _ in waiting})
        for camera in self._cameras:
            self._naming.end_camera(camera.source.camera)

    def _identify(self, batch: Sequence[Waiting]) -> None:
        """As thoroughly as the load allows, which is measured."""
        began = time.monotonic()
        self._naming.identify([look for look, _ in batch], self._load.level.passes)
        now = time.monotonic()
        self._load.observe(len(batch), now - began, max((now - since for _, since in batch), default=0.0))

    def _end(self, tracks: Sequence[Track]) -> None:
        self._naming.end(tracks)
        for track in tracks:
            self._looks.forget(track)

    def _end_the_silent(self, waiting: Collection[str]) -> None:
        """Nobody is seen by a camera that is down; its tracks must not stay open until it returns, but for those whose
        looks are `waiting`."""
        now = time.monotonic()
        for camera, heard in list(self._heard.items()):
            if now - heard > _SILENT_S and camera not in waiting:
                self._naming.end_camera(camera)


class _Guard:
    """Keeps the error of a thread, and calls `stop` if it is worse than a damaged recording, beside which the rest
    still goes its way."""

    def __init__(self, errors: list[BaseException], stop: Callable[[], None]) -> None:
        self._errors, self._stop = errors, stop

    def __enter__(self) -> None:
        """Nothing has happened yet."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> None:
        if error is None:
            return
        self._errors.append(error)
        if not isinstance(error, DamagedSourceError):
            self._stop()


def _raise_worst(errors: Sequence[BaseException]) -> None:
    """Any error before damaged recordings, which are told together."""
    for error in errors:
        if not isinstance(error, DamagedSourceError):
            raise error
    if errors:
        raise DamagedSourceError("; ".join(str(error) for error in errors))
