"""Where uploaded photos are developed: one after the other, on a thread that gives way to the cameras'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import cv2

from configs.schema import Config, Deblurring
from deblur.image_metrics import Fidelity, fidelity
from detectors.alignment import align
from recognize.gallery.people_gallery import Gallery
from recognize.track_recognizer import TrackRecognizer
from stream.threads import lower_priority
from stream.values import Image
from unblur.assembly.components import Components
from unblur.photos.photo_restoration import PhotoRestorer, PhotoResult, RestoredFace, make_photo_restorer, side_by_side

Method = Literal["auto", "cnn", "richardson-lucy", "seed"]
WAITING = 3
"""Photos at once, the one being developed among them: each is held in memory."""
RETRY_S = 5
"""When to come again if there is no place."""
_YIELDING = 10
"""How much nicer than the others the thread is, and those that its networks start."""


class BusyError(Exception):
    """No photo can be taken in just now."""


@dataclass(frozen=True, slots=True)
class QualityGain:
    """How near to the sharp original: as it came, and restored."""

    before: Fidelity
    after: Fidelity


@dataclass(frozen=True, slots=True, eq=False)
class RestoredPhoto:
    """A photo of `width` x `height` pixels, developed: its faces as `unblur image` tells them, `pictures` as PNG by
    name, and, where a sharp original was given, what was gained on the whole photo and on each face's crop. `remark`
    says what of the file was not decoded."""

    width: int
    height: int
    faces: Sequence[Mapping[str, object]]
    pictures: Mapping[str, bytes]
    gain: QualityGain | None
    gains: Sequence[QualityGain | None]
    remark: str | None = None


class PhotoWorker:
    """Develops photos with networks of its own, which are loaded when the first photo comes."""

    def __init__(self, config: Config, gallery: Callable[[], Gallery], waiting: int = WAITING) -> None:
        """`gallery` gives the people known at the moment; it is called from the darkroom's own thread."""
        self._config, self._gallery = config, gallery
        self._worker = ThreadPoolExecutor(1, "darkroom", lower_priority, (_YIELDING,))
        self._places = waiting
        self._labs: dict[Method, PhotoRestorer] = {}

    async def develop(self, photo: Image, sharp: Image | None, method: Method) -> RestoredPhoto:
        """Restore the photo's faces and say whose they are; `sharp` is the photo as it would be unblurred, of the same
        size. Raises BusyError if as many wait as may, ModelError and GalleryError."""
        if not self._places:
            raise BusyError("other photos are being developed: try again in a few seconds")
        self._places -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, self._develop, photo, sharp, method)
        finally:
            self._places += 1

    def close(self) -> None:
        """Finish the photo at hand; the others are not begun."""
        self._worker.shutdown(cancel_futures=True)

    def _develop(self, photo: Image, sharp: Image | None, method: Method) -> RestoredPhoto:
        self._recognizer.use(self._gallery())
        (result,) = self._lab(method).restore([(Path("photo"), photo)])
        gains = [None if sharp is None else _on_crop(portrait, sharp) for portrait in result.faces]
        gain = None if sharp is None else _gain(result, sharp)
        return RestoredPhoto(photo.shape[1], photo.shape[0], result.to_json(), _pictures(result), gain, gains)

    @cached_property
    def _parts(self) -> Components:
        return Components(self._config)

    @cached_property
    def _recognizer(self) -> TrackRecognizer:
        settings = self._config.recognition
        return TrackRecognizer(self._parts.embedder, self._gallery(), settings.threshold, settings.fpir)

    def _lab(self, method: Method) -> PhotoRestorer:
        if method not in self._labs:
            self._labs[method] = make_photo_restorer(self._parts, self._recognizer, self._settings(method))
        return self._labs[method]

    def _settings(self, method: Method) -> Deblurring:
        chosen = {"mode": "auto", "preset": "seed"} if method == "seed" else {"mode": method, "preset": "motion"}
        return self._config.deblur.model_copy(update=chosen)


def _gain(result: PhotoResult, sharp: Image) -> QualityGain:
    before = fidelity(result.photo, sharp)
    return QualityGain(before, before if result.restored is result.photo else fidelity(result.restored, sharp))


def _on_crop(portrait: RestoredFace, sharp: Image) -> QualityGain:
    restoration = portrait.restoration
    crop, _ = align(sharp, portrait.face.landmarks, restoration.image.shape[0])
    return QualityGain(fidelity(restoration.crop.image, crop), fidelity(restoration.image, crop))


def _pictures(result: PhotoResult) -> dict[str, bytes]:
    pictures = {"original": result.photo, "restored": result.restored, "sheet": side_by_side(result)}
    for number, portrait in enumerate(result.faces, 1):
        pictures[f"face-{number}-raw"] = portrait.restoration.crop.image
        if portrait.restoration.method != "none":
            pictures[f"face-{number}-restored"] = portrait.restoration.image
    encoded = {name: _encoded(picture) for name, picture in pictures.items() if picture is not result.photo}
    original = _encoded(result.photo)
    return {name: encoded.get(name, original) for name in pictures}


def _encoded(picture: Image) -> bytes:
    """As PNG. The least compression: of a large photo it takes a third of the time, and it is not kept for long."""
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
