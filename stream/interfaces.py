"""The stages as one-method contracts. The pipeline knows these and nothing of what stands behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from stream.results import Event, Identity
from stream.values import FaceCrop, FaceDetection, Frame, Image, Restoration, Track

if TYPE_CHECKING:
    from stream.results import FaceSample


def always(_pts_s: float) -> bool:
    """Every picture is wanted."""
    return True


class Source(Protocol):
    """Where frames come from.

    A live source never ends by itself and hands out the newest frame; of those that are not `wanted`, which is asked
    the media time of each in seconds, in order, it makes none. A recorded one hands out every frame, wanted or not.
    `close` may be called from another thread and makes `frames` return soon.
    """

    @property
    def camera(self) -> str: ...
    @property
    def live(self) -> bool: ...
    def frames(self, wanted: Callable[[float], bool] = always, /) -> Iterator[Frame]: ...
    def close(self) -> None: ...


class Detector(Protocol):
    """Finds the faces of a picture (H x W x 3 BGR uint8), best first. Used by one thread at a time.

    `long_side` is the size in pixels at which it looks, and may be set between pictures.
    """

    long_side: int

    def detect(self, image: Image) -> list[FaceDetection]: ...


class Aligner(Protocol):
    """Cuts a track's face out of the frame it was seen in; None if too little of it lies inside the picture."""

    def crop(self, frame: Frame, track: Track) -> FaceCrop | None: ...


class Deblurrer(Protocol):
    """Restores blurred crops and leaves sharp ones alone; one restoration for each crop, in order.

    `passes` is how many passes through a network a crop may have at most: 0 leaves all crops alone, None is as
    configured.
    """

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None, /) -> list[Restoration]: ...


class Recognizer(Protocol):
    """Gathers evidence over each track and says who it is by now; one identity for each restoration, in order."""

    def observe(self, restorations: Sequence[Restoration]) -> list[Identity]: ...
    def take_revoked(self) -> Mapping[tuple[str, int], Identity]:
        """Tracks that have lost their name to another since this was last asked, by camera and number: who they are
        now."""
        ...

    def forget(self, camera: str, track: int) -> None:
        """The track has ended; its evidence goes."""
        ...

    def reidentify(self) -> Mapping[tuple[str, int], Identity]:
        """Who each track, by camera and number, is by what is known now and the evidence so far."""
        ...


class FrameSink(Protocol):
    """Takes finished pictures: a window, a file, a stream of viewers."""

    def show(self, frame: Frame, image: Image) -> None:
        """`image` is `frame` with the overlay drawn."""
        ...

    def wants(self, camera: str) -> bool:
        """Whether anybody sees that camera's pictures at this moment; else they need not be drawn."""
        ...

    def close(self) -> None: ...


class EventSink(Protocol):
    """Takes events. When `write` returns, the event is on disk (or wherever it is to survive)."""

    def write(self, event: Event) -> None: ...
    def close(self) -> None: ...


class EvidenceSink(Protocol):
    """Keeps what an event rests on."""

    def add(self, event: Event, look: FaceSample, restoration: Restoration) -> Event:
        """Store the crops and the circumstances; returns the event as it is to be logged, with the evidence's name."""
        ...

    def mark_unlogged(self, event: Event) -> None:
        """The log refused the event that was kept last."""
        ...
