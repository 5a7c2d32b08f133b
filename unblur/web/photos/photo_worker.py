"""Restores uploaded photos in the background: one after the other, on a thread with lower priority than the cameras."""

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

RestorationChoice = Literal["auto", "cnn", "richardson-lucy", "seed"]
WAITING = 3
"""Photos at once, including the one being restored: each is held in memory."""
RETRY_S = 5
"""Seconds after which a client may try again if all places are taken."""
_NICENESS = 10
"""Niceness added to the thread and those that its networks start."""


class BusyError(Exception):
    """All places are taken at present."""


@dataclass(frozen=True, slots=True)
class QualityGain:
    """Similarity to the sharp original, before and after restoration."""

    before: Fidelity
    after: Fidelity


@dataclass(frozen=True, slots=True, eq=False)
class RestoredPhoto:
    """A restored photo of `width` x `height` pixels: its faces as `unblur image` reports them, `pictures` as PNG by
    name, and, if a sharp original was given, the gain on the whole photo and on each face's crop (`gains`). `remark`
    says what of the file was not decoded."""

    width: int
    height: int
    faces: Sequence[Mapping[str, object]]
    pictures: Mapping[str, bytes]
    gain: QualityGain | None
    gains: Sequence[QualityGain | None]
    remark: str | None = None


class PhotoWorker:
    """Restores photos with its own networks, which are loaded for the first photo."""

    def __init__(self, config: Config, gallery: Callable[[], Gallery], waiting: int = WAITING) -> None:
        """`gallery` returns the current gallery; it is called on the worker's thread."""
        self._config, self._gallery = config, gallery
        self._worker = ThreadPoolExecutor(1, "photos", lower_priority, (_NICENESS,))
        self._free_places = waiting
        self._restorers: dict[RestorationChoice, PhotoRestorer] = {}

    async def restore(self, photo: Image, sharp: Image | None, method: RestorationChoice) -> RestoredPhoto:
        """Restore and identify the photo's faces; `sharp` is the same photo without blur, of the same size. Raises
        BusyError if all places are taken, ModelError and GalleryError."""
        if not self._free_places:
            raise BusyError("other photos are being developed: try again in a few seconds")
        self._free_places -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, self._restore, photo, sharp, method)
        finally:
            self._free_places += 1

    def close(self) -> None:
        """Finish the current photo; waiting ones are canceled."""
        self._worker.shutdown(cancel_futures=True)

    def _restore(self, photo: Image, sharp: Image | None, method: RestorationChoice) -> RestoredPhoto:
        self._recognizer.use(self._gallery())
        (result,) = self._restorer(method).restore([(Path("photo"), photo)])
        gains = [None if sharp is None else _crop_gain(face, sharp) for face in result.faces]
        gain = None if sharp is None else _photo_gain(result, sharp)
        return RestoredPhoto(photo.shape[1], photo.shape[0], result.to_json(), _encode_images(result), gain, gains)

    @cached_property
    def _components(self) -> Components:
        return Components(self._config)

    @cached_property
    def _recognizer(self) -> TrackRecognizer:
        settings = self._config.recognition
        return TrackRecognizer(self._components.embedder, self._gallery(), settings.threshold, settings.fpir)

    def _restorer(self, method: RestorationChoice) -> PhotoRestorer:
        if method not in self._restorers:
            self._restorers[method] = make_photo_restorer(self._components, self._recognizer, self._settings(method))
        return self._restorers[method]

    def _settings(self, method: RestorationChoice) -> Deblurring:
        changes = {"mode": "auto", "preset": "box5"} if method == "seed" else {"mode": method, "preset": "motion"}
        return self._config.deblur.model_copy(update=changes)


def _photo_gain(result: PhotoResult, sharp: Image) -> QualityGain:
    before = fidelity(result.photo, sharp)
    return QualityGain(before, before if result.restored is result.photo else fidelity(result.restored, sharp))


def _crop_gain(face: RestoredFace, sharp: Image) -> QualityGain:
    restoration = face.restoration
    crop, _ = align(sharp, face.face.landmarks, restoration.image.shape[0])
    return QualityGain(fidelity(restoration.crop.image, crop), fidelity(restoration.image, crop))


def _encode_images(result: PhotoResult) -> dict[str, bytes]:
    pictures = {"original": result.photo, "restored": result.restored, "sheet": side_by_side(result)}
    for number, face in enumerate(result.faces, 1):
        pictures[f"face-{number}-raw"] = face.restoration.crop.image
        if face.restoration.method != "none":
            pictures[f"face-{number}-restored"] = face.restoration.image
    encoded = {name: _encode_png(picture) for name, picture in pictures.items() if picture is not result.photo}
    original = _encode_png(result.photo)
    return {name: encoded.get(name, original) for name in pictures}


def _encode_png(picture: Image) -> bytes:
    """Encode as PNG, with the least compression: a third of the time for a large photo, which is not kept for long."""
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
