"""Assembly of a run: sources, analyzers, identification, outputs and pipelines from a configuration."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path

from configs.schema import Camera as CameraSettings
from configs.schema import Config
from detectors.alignment import FivePointAligner
from detectors.yunet import IN_VIDEO
from models.assets import manifest
from recognize.gallery.people_gallery import Gallery
from recognize.track_recognizer import TrackRecognizer
from stream.camera_stages import PipelineCamera
from stream.errors import DamagedSourceError, UsageError
from stream.identification import IdentificationWorker
from stream.interfaces import EventSink, Source
from stream.load_control import LoadController, SearchBudget
from stream.media.frame_conversion import Rotation
from stream.metrics import MetricsSnapshot, StageMetrics
from stream.names import normalize_name
from stream.outputs.renderer import FrameRenderer
from stream.pipeline import Pipeline
from stream.results import AnnotatedFrame
from stream.sources.factory import Live, Opened, SourceOptions, open_source
from stream.sources.recorded import PlaybackOptions, RecordedSource
from stream.sources.stream_spec import ReconnectPolicy
from stream.tracking.analyzer import FrameAnalyzer
from unblur.assembly.components import Components, LoadedNetwork
from unblur.assembly.model_provenance import provenance
from unblur.assembly.outputs import MakeLiveView, Outputs, require_distinct_files

_HEAD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """A run ready to start: pipelines, run one after the other, and the components that report on it."""

    sources: Sequence[Opened]
    pipelines: Sequence[Pipeline]
    meter: StageMetrics
    parts: Components
    recognizer: TrackRecognizer
    identification: IdentificationWorker
    outputs: Outputs
    load: LoadController

    @property
    def networks(self) -> Sequence[LoadedNetwork]:
        """The loaded networks with their backends."""
        return self.parts.networks

    @property
    def running(self) -> bool:
        """Whether a pipeline is running."""
        return any(pipeline.running for pipeline in self.pipelines)

    def start(self) -> None:
        """Run to the end. Raises the worst error after all threads have stopped; DamagedSourceError for damaged
        recordings only after all have been read."""
        damage = []
        for pipeline in self.pipelines:
            try:
                pipeline.run(self.outputs.pump)
            except DamagedSourceError as error:
                damage.append(str(error))
        if damage:
            raise DamagedSourceError("; ".join(damage))

    def use_gallery(self, gallery: Gallery) -> None:
        """Switch to this gallery and identify current tracks again; thread-safe. Raises GalleryError if it was made
        with another network."""
        self.recognizer.use(gallery)
        self.identification.reidentify()

    def snapshot(self) -> MetricsSnapshot:
        """The metrics so far, including what sources, recognizer and window dropped."""
        metrics = self.meter.read()
        states = [source.status() for source in self.sources if isinstance(source, Live)]
        lost = {
            "frames dropped": sum(state.dropped for state in states),
            "reconnections": sum(state.reconnects for state in states),
            "tracks forgotten": self.recognizer.dropped,
            "pictures not shown": self.outputs.dropped,
        }
        return replace(metrics, counts=metrics.counts | lost)


def assemble(
    config: Config,
    stack: ExitStack,
    on_frame: Callable[[AnnotatedFrame], None],
    *logs: EventSink,
    make_live_view: MakeLiveView | None = None,
) -> Run:
    """Build a run; `stack` closes what it opens. `on_frame` is called with every annotated frame, on the cameras'
    threads; `logs` get every event once it is on disk; `make_live_view` makes the web page if one is needed.

    Sources and gallery are opened before any output is touched, so that bad input leaves no files behind.
    Raises UsageError, ModelError.
    """
    meter = StageMetrics()
    sources = open_sources(config)
    parts = Components(config)
    recognizer = parts.recognizer()
    restorer = parts.deblurrer(_shutters(config, sources))
    hash_frames, detect_every_frame = bool(config.output.evidence), bool(config.output.redact)
    load = LoadController()
    budget = SearchBudget(sum(source.live for source in sources), load)
    analyzers = [
        FrameAnalyzer(
            parts.detector(IN_VIDEO),
            FivePointAligner(),
            source.live,
            meter,
            hash_frames,
            detect_every_frame,
            _is_stills(source),
            budget,
        )
        for source in sources
    ]
    require_distinct_files(config)
    provenances = provenance(config, recognizer, lambda: _loaded_files(parts.networks))
    outputs = Outputs(config, sources, logs, provenances, parts.cipher, stack, meter, make_live_view)
    identification = IdentificationWorker(
        restorer, recognizer, outputs.log, outputs.evidence, run_fingerprint(config, sources), meter
    )
    cameras = [
        _camera(source, analyzer, outputs.renderer(source, meter, on_frame), settings.rotate)
        for source, analyzer, settings in zip(sources, analyzers, config.cameras, strict=True)
    ]
    pipelines = [Pipeline(group, identification, meter, load) for group in _groups(config, cameras)]
    return Run(sources, pipelines, meter, parts, recognizer, identification, outputs, load)


def _camera(source: Source, analyzer: FrameAnalyzer, renderer: FrameRenderer, rotation: Rotation) -> PipelineCamera:
    return PipelineCamera(source, analyzer, renderer, partial(renderer.wanted, source.camera), rotation)


def _loaded_files(networks: Sequence[LoadedNetwork]) -> Mapping[str, object]:
    """For evidence: the backend and the sha256 of the loaded files, by network."""
    return {each.name: {"backend": each.backend, **each.files} for each in networks}


def open_sources(config: Config) -> list[Opened]:
    """Open the cameras' sources and check that their names differ. Raises SourceError, UsageError.

    A live camera that does not answer is an error if it is the only one; among several it is retried without end.
    """
    endless = config.patience_s is None or len(config.cameras) > 1
    sources = [_open(each, config, endless) for each in config.cameras]
    for name, times in Counter(source.camera for source in sources).items():
        if times > 1:
            raise UsageError(f"{times} cameras are called {name!r}: give each a name of its own, as NAME=SOURCE")
    return sources


def _camera_name(camera: CameraSettings) -> str | None:
    """The configured name; None if it is to be derived from the source. No word is reserved for cameras."""
    try:
        return None if camera.name is None else normalize_name(camera.name, reserved=frozenset())
    except UsageError as error:
        raise UsageError(f"the camera {camera.name!a}: {error}") from error


def _open(camera: CameraSettings, config: Config, endless: bool) -> Opened:
    connect_s = config.patience_s or ReconnectPolicy().connect_s
    reconnect_policy = ReconnectPolicy(connect_s, camera.picture_s, camera.keyframe_s, endless=endless)
    options = SourceOptions(camera.stream, camera.transport, camera.snapshot_s)
    return open_source(camera.source, _camera_name(camera), _playback(camera, config), reconnect_policy, options)


def run_fingerprint(config: Config, sources: Sequence[Source]) -> str:
    """Return the fingerprint from which event ids are derived. For recordings it depends on their content and on all
    settings that affect identification, so that a replay gives the same ids; for live cameras it includes the time,
    so that no two runs share ids."""
    digest = hashlib.sha256(_restoration_settings(config).encode())
    digest.update(config.recognition.model_dump_json(include={"fpir", "threshold"}).encode())
    digest.update((config.output.redact or "").encode())  # redaction makes the detector run on every frame
    digest.update("".join(network.sha256 for network in manifest.trained()).encode())
    if config.recognition.gallery:
        digest.update(_file_head(config.recognition.gallery))
    for source, camera in zip(sources, config.cameras, strict=True):
        digest.update(camera.model_dump_json(include={"begin_s", "end_s", "fps", "shutter"}).encode())
        digest.update(str(camera.stream or "").encode())
        digest.update(str(camera.rotate or "").encode())
        digest.update(datetime.now(UTC).isoformat().encode() if source.live else _file_head(Path(camera.source)))
    return digest.hexdigest()


def _restoration_settings(config: Config) -> str:
    """Detection and deblurring as JSON, under the names of the first release: ids must not change with a name."""
    deblur = config.deblur
    preset = "seed" if deblur.preset == "box5" else deblur.preset
    settings = {"mode": deblur.mode, "preset": preset, "looks": deblur.passes}
    parts = {"detection": config.detection.model_dump(mode="json"), "deblur": settings}
    return json.dumps(parts, separators=(",", ":"))


def _file_head(path: Path) -> bytes:
    """A file's size and first mebibyte, or a folder's file names; otherwise (a URL, a pattern) the text itself."""
    path = path.expanduser()
    if path.is_dir():
        return "\n".join(sorted(entry.name for entry in path.iterdir())).encode(errors="surrogateescape")
    if not path.is_file():
        return str(path).encode(errors="surrogateescape")
    with path.open("rb") as file:
        return str(path.stat().st_size).encode() + file.read(_HEAD_BYTES)


def _is_stills(source: Opened) -> bool:
    return isinstance(source, RecordedSource) and source.stills


def _playback(camera: CameraSettings, config: Config) -> PlaybackOptions:
    return PlaybackOptions(
        camera.start_time, config.pace, camera.begin_s, camera.end_s, Fraction(camera.fps).limit_denominator(1001)
    )


def _shutters(config: Config, sources: Sequence[Source]) -> dict[str, float]:
    settings = zip(sources, config.cameras, strict=True)
    return {source.camera: camera.shutter for source, camera in settings if camera.shutter is not None}


def _groups(config: Config, cameras: Sequence[PipelineCamera]) -> list[list[PipelineCamera]]:
    """Group cameras into pipelines. Recordings run one after the other, since each keeps all cores busy and the log
    stays in order; live cameras, and recordings in real time, run together."""
    together = config.pace == "realtime" or any(camera.source.live for camera in cameras)
    return [list(cameras)] if together else [[camera] for camera in cameras]
