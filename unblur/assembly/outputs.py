"""Outputs of a run: annotated frames, event log and evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

from configs.schema import SCREENS, Config, Output
from models.assets.fetch import fetch_typefaces
from stream.errors import UsageError
from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog
from stream.evidence.evidence_store import EvidenceStore, Provenance
from stream.evidence.signing import Signer
from stream.interfaces import EventSink, FrameSink, Source
from stream.metrics import StageMetrics
from stream.outputs.mp4_recorder import Mp4Recorder
from stream.outputs.overlay import Overlay
from stream.outputs.pixelation import FacePixelator
from stream.outputs.renderer import FrameRenderer, WindowSink
from stream.outputs.text import TextRenderer
from stream.outputs.window import Window
from stream.results import AnnotatedFrame, Event
from stream.sources.receiver import PushSource
from stream.storage.encryption import Cipher
from unblur.terminal import download_bar


class LiveOutput(FrameSink, Protocol):
    """Web page with the cameras' live video."""

    @property
    def announcer(self) -> EventSink:
        """The event sink that sends events to open pages."""

    @property
    def viewers(self) -> int:
        """Number of live streams being watched."""

    @property
    def refused(self) -> int:
        """Number of connections refused for lack of capacity."""


MakeLiveView = Callable[[Sequence[Source], StageMetrics], LiveOutput]


class _Closes(Protocol):
    def close(self) -> None: ...


ClosableT = TypeVar("ClosableT", bound=_Closes)


class Outputs:
    """All outputs of a run, opened together; `stack` closes them. Raises OutputError, with no output left behind."""

    def __init__(
        self,
        config: Config,
        sources: Sequence[Source],
        logs: Sequence[EventSink],
        provenance: Provenance,
        cipher: Cipher | None,
        stack: ExitStack,
        meter: StageMetrics,
        make_live_view: MakeLiveView | None,
    ) -> None:
        """Open all outputs. `make_live_view` is required for the output `webrtc` and for cameras sent by a browser."""
        settings = config.output
        self._pixelator = FacePixelator(settings.redact) if settings.redact else None
        self._zone = settings.zone
        needs_live_view = settings.picture == "webrtc" or any(isinstance(source, PushSource) for source in sources)
        self._fonts = _fetch_fonts() if needs_live_view or settings.picture != "none" else None
        self._window = _window(settings, self._fonts, stack)
        if needs_live_view and make_live_view is None:
            raise ValueError("this run needs a live view")
        self.live_view = (
            _close_with(stack, make_live_view(sources, meter)) if needs_live_view and make_live_view else None
        )
        self._recorders = {
            name: _close_with(stack, Mp4Recorder(path)) for name, path in _mp4_paths(settings, sources).items()
        }
        self.evidence = (
            _close_with(stack, EvidenceStore(settings.evidence, Signer(), provenance, self._pixelator, cipher))
            if settings.evidence
            else None
        )
        self.event_stores = _open_event_stores(settings, fresh=not any(source.live for source in sources), stack=stack)
        self.log = EventFanout(
            [
                *(store for _, store in self.event_stores),
                *logs,
                *([self.live_view.announcer] if self.live_view else []),
            ]
        )

    def renderer(
        self, source: Source, meter: StageMetrics, on_frame: Callable[[AnnotatedFrame], None]
    ) -> FrameRenderer:
        """Make the renderer that draws a camera's annotated frames and passes them to its sinks."""
        sinks: list[FrameSink] = [self._recorders[source.camera]] if source.camera in self._recorders else []
        if self._window:
            sinks.append(self._window)
        if self.live_view:
            sinks.append(self.live_view)
        overlay = Overlay(TextRenderer(self._fonts), self._zone) if self._fonts else None
        return FrameRenderer(overlay, sinks, source.live, meter, on_frame, self._pixelator)

    @property
    def pump(self) -> Callable[[], bool] | None:
        """The window's event loop, to be run in the main thread; None without a window."""
        return self._window.pump if self._window else None

    @property
    def dropped(self) -> int:
        """Number of frames that the window was too slow to show."""
        return self._window.dropped if self._window else 0


class EventFanout:
    """Event sink that writes each event to several sinks, in their order: stores first, live pages last."""

    def __init__(self, logs: Sequence[EventSink]) -> None:
        self._logs = logs

    def write(self, event: Event) -> None:
        for log in self._logs:
            log.write(event)

    def close(self) -> None:
        for log in self._logs:
            log.close()


def _fetch_fonts() -> Path:
    with download_bar() as progress:
        return fetch_typefaces(progress=progress)


def _window(settings: Output, typefaces: Path | None, stack: ExitStack) -> WindowSink | None:
    if settings.picture != "window" or typefaces is None:
        return None
    return _close_with(stack, WindowSink(Window(typefaces)))


def _mp4_paths(settings: Output, sources: Sequence[Source]) -> dict[str, Path]:
    """The video file of each camera: FILE.mp4, or with several cameras FILE-<camera>.mp4."""
    if settings.picture in SCREENS:
        return {}
    path = Path(settings.picture)
    if len(sources) == 1:
        return {sources[0].camera: path}
    paths = {source.camera: path.with_stem(f"{path.stem}-{_file_name(source.camera)}") for source in sources}
    if len(set(paths.values())) < len(paths):
        raise UsageError("two cameras' names are the same as file names: give them other names, as NAME=SOURCE")
    return paths


def _file_name(camera: str) -> str:
    return "".join("_" if character in '/\\:*?"<>|' else character for character in camera)


def require_distinct_files(config: Config) -> None:
    """Raise UsageError if an output would overwrite an input."""
    output = config.output
    written = {Path(output.picture), output.events, Path((output.store or "").removeprefix("sqlite:///"))}
    read = {Path(camera.source).expanduser() for camera in config.cameras} | {config.recognition.gallery}
    for target in written:
        for source in read:
            if target and source and target.is_file() and source.is_file() and target.samefile(source):
                raise UsageError(f"{target} is what is being read: write to another file")


def _open_event_stores(
    settings: Output, fresh: bool, stack: ExitStack
) -> list[tuple[str, JsonlEventLog | SqlEventStore]]:
    """Open the configured event stores; each with its location, a URL or a path."""
    stores: list[tuple[str, JsonlEventLog | SqlEventStore]] = []
    if settings.store:
        stores.append((settings.store, _close_with(stack, SqlEventStore(settings.store))))
    if settings.events:
        stores.append((str(settings.events), _close_or_discard(stack, JsonlEventLog(settings.events, fresh))))
    return stores


def _close_with(stack: ExitStack, output: ClosableT) -> ClosableT:
    stack.callback(output.close)
    return output


def _close_or_discard(stack: ExitStack, log: JsonlEventLog) -> JsonlEventLog:
    """Close the log with the stack; after a UsageError, which prevents the run, delete an empty log."""

    def finish(_kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, UsageError):
            log.discard_if_empty()
        else:
            log.close()

    stack.push(finish)
    return log
