"""Interfaces of the pipeline's stages, as protocols. The pipeline depends on these, not on implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from stream.results import Event, Identity
from stream.values import FaceCrop, FaceDetection, Frame, Image, Restoration, Track

if TYPE_CHECKING:
    from stream.results import FaceSample


def always(_pts_s: float) -> bool:
    """Accept every frame; the default of `Source.frames`."""
    return True


class Source(Protocol):
    """Gives the frames of a camera.

    A live source never ends by itself, and yields the newest frame; it skips frames for which `wanted`, called in order
    with the media time of each in seconds, is False. A recorded source yields every frame, wanted or not. `close` may
    be called from another thread and makes `frames` return soon.
    """

    @property
    def camera(self) -> str: ...
    @property
    def live(self) -> bool: ...
    def frames(self, wanted: Callable[[float], bool] = always, /) -> Iterator[Frame]: ...
    def close(self) -> None: ...


class Detector(Protocol):
    """Detects the faces of an image (H x W x 3 BGR uint8), best first. Used by one thread at a time.

    `long_side` is the size of the search in pixels, and may be set between images.
    """

    long_side: int

    def detect(self, image: Image) -> list[FaceDetection]: ...


class Aligner(Protocol):
    """Crops a track's face from its frame, aligned; None if too little of it lies inside the image."""

    def crop(self, frame: Frame, track: Track) -> FaceCrop | None: ...


class Deblurrer(Protocol):
    """Restores blurred crops and leaves sharp ones alone; one restoration for each crop, in order.

    `passes` is the maximum number of network passes per crop: 0 leaves all crops alone, None is as configured.
    """

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None, /) -> list[Restoration]: ...


class Recognizer(Protocol):
    """Accumulates the evidence of each track and identifies it; one identity for each restoration, in order."""

    def observe(self, restorations: Sequence[Restoration]) -> list[Identity]: ...
    def take_revoked(self) -> Mapping[tuple[str, int], Identity]:
        """Tracks that have lost their name to another track since the last call: their identities now, by camera and
        track id."""
        ...

    def forget(self, camera: str, track: int) -> None:
        """Drop the evidence of a track that has ended."""
        ...

    def reidentify(self) -> Mapping[tuple[str, int], Identity]:
        """Identify all tracks again with the present gallery; returns identities by camera and track id."""
        ...


class FrameSink(Protocol):
    """Takes annotated frames: a window, a file, a stream to viewers."""

    def show(self, frame: Frame, image: Image) -> None:
        """`image` is `frame` with the overlay drawn."""
        ...

    def wants(self, camera: str) -> bool:
        """Whether this camera's frames are needed now; else they need not be drawn."""
        ...

    def close(self) -> None: ...


class EventSink(Protocol):
    """Takes events. When `write` returns, the event is stored durably."""

    def write(self, event: Event) -> None: ...
    def close(self) -> None: ...


class EvidenceSink(Protocol):
    """Keeps the evidence of events."""

    def add(self, event: Event, sample: FaceSample, restoration: Restoration) -> Event:
        """Store crops and metadata; returns the event to log, with the name of its evidence."""
        ...

    def mark_unlogged(self, event: Event) -> None:
        """Mark the last event: the log refused it."""
        ...
