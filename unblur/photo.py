"""Single pictures, as the seed paper has them: each face restored in place, shown beside the original, and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from detectors.align import FivePointAligner, paste
from recognize.fuse import TrackRecognizer
from stream.data import Crop, Face, Frame, Identity, Image, Restoration, Track
from stream.errors import OutputError
from stream.picture import read_picture
from stream.stages import Deblurrer, Detector

_GAP = 8
"""Pixels between the two halves of a sheet."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """One face of a photo: what was done to it, and who it is."""

    face: Face
    restoration: Restoration
    identity: Identity


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A photo with its faces, largest first, and the photo with each of them restored in place."""

    path: Path
    photo: Image
    portraits: Sequence[Portrait]

    @property
    def restored(self) -> Image:
        """The whole photo, H x W as it came; the smallest faces go in first, so that none covers a larger one."""
        picture = self.photo
        for portrait in reversed(self.portraits):
            if portrait.restoration.method != "none":
                picture = paste(picture, portrait.restoration.image, portrait.restoration.crop.matrix)
        return picture

    def to_json(self) -> list[dict[str, object]]:
        """One object for each face."""
        return [{"photo": str(self.path), **_to_json(portrait)} for portrait in self.portraits]


class PhotoLab:
    """Restores and names the faces of photos."""

    def __init__(self, detector: Detector, deblurrer: Deblurrer, recognizer: TrackRecognizer) -> None:
        self._detector = detector
        self._aligner = FivePointAligner()
        self._deblurrer = deblurrer
        self._recognizer = recognizer

    def develop(self, paths: Sequence[Path]) -> list[Result]:
        """The results of some photos, in order; their faces go through the networks together.

        Raises SourceError if one of them is not a picture.
        """
        found = [self._find(path) for path in paths]
        restorations = self._deblurrer.restore([crop for _, _, faces in found for _, crop in faces])
        named = iter(zip(restorations, self._recognizer.identify(restorations), strict=True))
        return [
            Result(path, photo, [Portrait(face, *next(named)) for face, _ in faces])
            for path, photo, faces in found
        ]

    def _find(self, path: Path) -> tuple[Path, Image, list[tuple[Face, Crop]]]:
        photo = read_picture(path)
        frame = Frame(path.name, 0, 0, Fraction(1), None, photo)
        faces = sorted(self._detector.detect(photo), key=lambda face: -face.box.area)
        return path, photo, [(face, crop) for face in faces if (crop := self._aligner.crop(frame, _still(frame, face)))]


def _still(frame: Frame, face: Face) -> Track:
    """A face of a photo as a track seen once: it has no motion."""
    return Track(
        camera=frame.camera,
        id=0,
        box=face.box,
        landmarks=face.landmarks,
        velocity=(0.0, 0.0),
        confidence=face.confidence,
        detected=True,
        hits=1,
        first_frame=0,
        first_pts_s=0.0,
    )


def sheet(result: Result) -> Image:
    """The photo and the restored one side by side, with a white gap."""
    gap = np.full((result.photo.shape[0], _GAP, 3), 255, np.uint8)
    return np.hstack([result.photo, gap, result.restored])


def save(result: Result, folder: Path) -> None:
    """Write `<stem>.restored.png` and `<stem>.sheet.png`, each whole or not at all. Raises OutputError."""
    for kind, image in (("restored", result.restored), ("sheet", sheet(result))):
        _write(folder / f"{result.path.stem}.{kind}.png", image)


def _write(path: Path, image: Image) -> None:
    partial = path.with_name(f"{path.name}.part")
    try:
        partial.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another --out") from error


def _to_json(portrait: Portrait) -> dict[str, object]:
    who, restoration = portrait.identity, portrait.restoration
    runner_up = {"name": who.runner_up.name, "score": round(who.runner_up.score, 4)} if who.runner_up else None
    return {
        "name": who.name,
        "description": who.description,
        "score": round(who.score, 4),
        "threshold": round(who.threshold, 4),
        "runner_up": runner_up,
        "raw_score": round(who.raw_score, 4),
        "restored_score": None if who.restored_score is None else round(who.restored_score, 4),
        "deblurred_by": restoration.method,
        "blur": round(restoration.blur, 2),
        "box": list(portrait.face.box.rounded()),
    }


def develop_all(config: Config, paths: Sequence[Path], out: Path) -> list[UnblurError]:
    """Develop photos into the folder `out`, and print a JSON line for each face. What cannot be read is left out and
    returned as errors. Raises UsageError, ModelError if nothing can be done at all."""
    _require_distinct(paths)
    parts = Parts(config)
    lab = PhotoLab(parts.detector(), deblurrer(config.deblur, {}), parts.recognizer())
    _make(out)
    faults: list[UnblurError] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for path in progress.track(paths, description="photos"):
            try:
                result = lab.develop([path])[0]
            except SourceError as error:
                faults.append(error)
                continue
            save(result, out)
            for face in result.to_json():
                print(json.dumps(face, ensure_ascii=False), flush=True)  # noqa: T201  this is the command's output
    return faults
