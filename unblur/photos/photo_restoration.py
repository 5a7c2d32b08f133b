"""Single pictures, as the seed paper has them: each face restored in place, shown beside the original, and named."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from pathlib import Path

import cv2
import numpy as np
from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

from configs.schema import Config, Deblurring
from deblur.deblurrers import deconvolve_with_box_kernel
from detectors.alignment import FivePointAligner, paste
from recognize.track_recognizer import TrackRecognizer
from stream.errors import OutputError, SourceError, StorageError, UsageError
from stream.interfaces import Deblurrer, Detector
from stream.results import Identity
from stream.storage.images import read_still, write_picture
from stream.values import FaceCrop, FaceDetection, Frame, Image, Restoration, Track
from unblur.assembly.components import Components
from unblur.terminal import bar, gauge, json_encoder, messages, row, standard_output

_TOGETHER = 16
"""Photos whose faces are restored and recognised as one batch."""
_SEED_REACH = 1.5
"""Side of the square that the seed's preset restores, in sides of the face's box."""
_GAP = 8
"""Pixels between the two halves of a sheet."""


_WIDTHS = {"photo": 24, "who": 24, "score": 7, "threshold": 9, "raw": 7, "restored": 8, "by": 0}
"""The columns of the table, in cells of a terminal."""

Retouch = Callable[[Image, "RestoredFace"], Image]
"""Restores one face of a picture in place; gives the whole picture."""


@dataclass(frozen=True, slots=True, eq=False)
class RestoredFace:
    """One face of a photo: what was done to it, and who it is."""

    face: FaceDetection
    restoration: Restoration
    identity: Identity


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """A photo with its faces, largest first, and the photo with each of them restored in place (H x W as it came)."""

    path: Path
    photo: Image
    portraits: Sequence[RestoredFace]
    restored: Image

    def to_json(self) -> list[dict[str, object]]:
        """One object for each face."""
        return [{"photo": str(self.path), **_to_json(portrait)} for portrait in self.portraits]


def paste_restored(picture: Image, portrait: RestoredFace) -> Image:
    """What the deblurrer did to the face's crop, put back; a face that it left alone stays as it is, bit for bit."""
    restoration = portrait.restoration
    return picture if restoration.method == "none" else paste(picture, restoration.image, restoration.crop.matrix)


def as_the_seed(picture: Image, portrait: RestoredFace) -> Image:
    """The paper's fixed 5 x 5 mean at the photo's own scale, whatever the blur: who asks for it gets it."""
    box = portrait.face.box
    side = round(_SEED_REACH * max(box.width, box.height))
    left, top = (round(middle - side / 2) for middle in box.center)
    to_region = np.array([[1, 0, -left], [0, 1, -top]], np.float32)
    region = cv2.warpAffine(picture, to_region, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return paste(picture, deconvolve_with_box_kernel(np.asarray(region, np.uint8)), to_region)


class PhotoRestorer:
    """Restores and names the faces of photos."""

    def __init__(
        self, detector: Detector, deblurrer: Deblurrer, recognizer: TrackRecognizer, retouch: Retouch = paste_restored
    ) -> None:
        self._detector = detector
        self._aligner = FivePointAligner()
        self._deblurrer = deblurrer
        self._recognizer = recognizer
        self._retouch = retouch

    def restore(self, photos: Sequence[tuple[Path, Image]]) -> list[PhotoResult]:
        """The results of some photos, in order; their faces go through the networks together."""
        found = [(path, photo, self._faces(photo)) for path, photo in photos]
        restorations = self._deblurrer.restore([crop for _, _, faces in found for _, crop in faces])
        named = iter(zip(restorations, self._recognizer.identify(restorations), strict=True))
        return [
            self._result(path, photo, [RestoredFace(face, *next(named)) for face, _ in faces])
            for path, photo, faces in found
        ]

    def _result(self, path: Path, photo: Image, portraits: Sequence[RestoredFace]) -> PhotoResult:
        """The smallest faces are restored first, so that none covers a larger one."""
        restored = reduce(self._retouch, reversed(portraits), photo)
        return PhotoResult(path, photo, portraits, restored)

    def _faces(self, photo: Image) -> list[tuple[FaceDetection, FaceCrop]]:
        frame = Frame("photo", 0, 0, Fraction(1), None, photo)
        faces = sorted(self._detector.detect(photo), key=lambda face: -face.box.area)
        return [(face, crop) for face in faces if (crop := self._aligner.crop(frame, _still(frame, face)))]


def equip(parts: Components, recognizer: TrackRecognizer, settings: Deblurring) -> PhotoRestorer:
    """A lab that restores as `settings` say. Raises ModelError."""
    seed = settings.preset == "box5" and settings.mode != "off"
    deblurrer = parts.deblurrer(settings=settings)
    return PhotoRestorer(parts.still_detector(), deblurrer, recognizer, as_the_seed if seed else paste_restored)


def _still(frame: Frame, face: FaceDetection) -> Track:
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


def side_by_side(result: PhotoResult) -> Image:
    """The photo and the restored one side by side, with a white gap."""
    gap = np.full((result.photo.shape[0], _GAP, 3), 255, np.uint8)
    return np.hstack([result.photo, gap, result.restored])


def save(result: PhotoResult, folder: Path) -> None:
    """Write `<stem>.restored.png` and `<stem>.sheet.png`, each whole or not at all. Raises StorageError."""
    try:
        write_picture(folder / f"{result.path.stem}.restored.png", result.restored)
        write_picture(folder / f"{result.path.stem}.sheet.png", side_by_side(result))
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}; make room, or choose another --out") from error


def _to_json(portrait: RestoredFace) -> dict[str, object]:
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


def restore_photos(config: Config, paths: Sequence[Path], out: Path) -> list[SourceError]:
    """Develop photos into the folder `out`, and print a row of a table or a JSON line for each face.

    What cannot be read is left out, and returned as errors. Raises UsageError, ModelError if nothing can be done.
    """
    _require_distinct(paths)
    parts = Components(config)
    lab = equip(parts, parts.recognizer(), config.deblur)
    _make(out)
    faults: list[SourceError] = []
    put = _printer()
    with bar(TextColumn("photos"), gauge(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=len(paths))
        for start in range(0, len(paths), _TOGETHER):
            batch = paths[start : start + _TOGETHER]
            for result in lab.restore(list(_readable(batch, faults))):
                save(result, out)
                put(result.to_json())
            progress.update(task, advance=len(batch))
    return faults


def _printer() -> Callable[[Iterable[dict[str, object]]], None]:
    """What prints the faces of a photo on standard output: rows of a table at a terminal, else JSON lines. Raises
    StorageError where they cannot be written."""
    line: Callable[[dict[str, object]], str] = json_encoder(sys.stdout)
    if sys.stdout.isatty():
        line = _row
        print(row(_WIDTHS, _WIDTHS.values()))  # noqa: T201  the command's output

    def put(faces: Iterable[dict[str, object]]) -> None:
        for face in faces:
            with standard_output():
                print(line(face))  # noqa: T201  as `print` does it, above a bar where there is one

    return put


def _row(face: dict[str, object]) -> str:
    restored = "" if face["restored_score"] is None else face["restored_score"]
    who = face["name"] or "unknown"
    scores = [face["score"], face["threshold"], face["raw_score"], restored]
    return row([Path(str(face["photo"])).name, who, *scores, face["deblurred_by"]], _WIDTHS.values())


def _readable(paths: Sequence[Path], faults: list[SourceError]) -> Iterator[tuple[Path, Image]]:
    for path in paths:
        try:
            still = read_still(path)
        except SourceError as error:
            faults.append(error)
            continue
        if still.remark:
            messages().say(f"{path}: {still.remark}")
        yield path, still.image


def _require_distinct(paths: Sequence[Path]) -> None:
    """Two photos of one stem would write the same files."""
    stem, times = Counter(path.stem for path in paths).most_common(1)[0]
    if times > 1:
        raise UsageError(f"{times} photos are called {stem!r} but for folder and ending: develop them one by one")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another --out") from error
