"""Restoration of photos, as in the reference paper: each face restored in place, shown next to the original, named."""

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

_BATCH_SIZE = 16
"""Photos whose faces are restored and identified as one batch."""
_BOX_KERNEL_REACH = 1.5
"""Side of the square that the box-kernel preset restores, in sides of the face's box."""
_GAP = 8
"""Pixels between the two halves of a sheet."""

_WIDTHS = {"photo": 24, "who": 24, "score": 7, "threshold": 9, "raw": 7, "restored": 8, "by": 0}
"""The widths of the table's columns, in terminal cells."""

FaceCompositor = Callable[[Image, "RestoredFace"], Image]
"""Restores one face of a photo in place and returns the whole photo."""


@dataclass(frozen=True, slots=True, eq=False)
class RestoredFace:
    """One face of a photo with its restoration and identity."""

    face: FaceDetection
    restoration: Restoration
    identity: Identity


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """A photo with its faces, largest first, and the photo with each face restored in place (same H x W)."""

    path: Path
    photo: Image
    faces: Sequence[RestoredFace]
    restored: Image

    def to_json(self) -> list[dict[str, object]]:
        """Return one JSON object per face."""
        return [{"photo": str(self.path), **_to_json(face)} for face in self.faces]


def paste_restored(picture: Image, face: RestoredFace) -> Image:
    """Paste the restored crop back into the photo; a face that was not deblurred stays unchanged, bit for bit."""
    restoration = face.restoration
    return picture if restoration.method == "none" else paste(picture, restoration.image, restoration.crop.matrix)


def restore_with_box_kernel(picture: Image, face: RestoredFace) -> Image:
    """Restore a face by the reference paper's fixed 5 x 5 mean kernel at the photo's scale, whatever its blur."""
    box = face.face.box
    side = round(_BOX_KERNEL_REACH * max(box.width, box.height))
    left, top = (round(middle - side / 2) for middle in box.center)
    to_region = np.array([[1, 0, -left], [0, 1, -top]], np.float32)
    region = cv2.warpAffine(picture, to_region, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return paste(picture, deconvolve_with_box_kernel(np.asarray(region, np.uint8)), to_region)


class PhotoRestorer:
    """Restores and names the faces of photos."""

    def __init__(
        self,
        detector: Detector,
        deblurrer: Deblurrer,
        recognizer: TrackRecognizer,
        compose: FaceCompositor = paste_restored,
    ) -> None:
        self._detector = detector
        self._aligner = FivePointAligner()
        self._deblurrer = deblurrer
        self._recognizer = recognizer
        self._compose = compose

    def restore(self, photos: Sequence[tuple[Path, Image]]) -> list[PhotoResult]:
        """Return the results of photos, in order; their faces go through the networks as one batch."""
        detected = [(path, photo, self._faces(photo)) for path, photo in photos]
        restorations = self._deblurrer.restore([crop for _, _, faces in detected for _, crop in faces])
        identified = iter(zip(restorations, self._recognizer.identify(restorations), strict=True))
        return [
            self._result(path, photo, [RestoredFace(face, *next(identified)) for face, _ in faces])
            for path, photo, faces in detected
        ]

    def _result(self, path: Path, photo: Image, faces: Sequence[RestoredFace]) -> PhotoResult:
        """Restore the smallest faces first, so that none covers a larger one."""
        restored = reduce(self._compose, reversed(faces), photo)
        return PhotoResult(path, photo, faces, restored)

    def _faces(self, photo: Image) -> list[tuple[FaceDetection, FaceCrop]]:
        frame = Frame("photo", 0, 0, Fraction(1), None, photo)
        faces = sorted(self._detector.detect(photo), key=lambda face: -face.box.area)
        return [(face, crop) for face in faces if (crop := self._aligner.crop(frame, _still(frame, face)))]


def make_photo_restorer(parts: Components, recognizer: TrackRecognizer, settings: Deblurring) -> PhotoRestorer:
    """Make a photo restorer with these deblurring settings. Raises ModelError."""
    box_kernel = settings.preset == "box5" and settings.mode != "off"
    deblurrer = parts.deblurrer(settings=settings)
    return PhotoRestorer(
        parts.still_detector(), deblurrer, recognizer, restore_with_box_kernel if box_kernel else paste_restored
    )


def _still(frame: Frame, face: FaceDetection) -> Track:
    """Wrap a photo's face as a track of one frame, without motion."""
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
    """Place the photo and the restored photo side by side, with a white gap."""
    gap = np.full((result.photo.shape[0], _GAP, 3), 255, np.uint8)
    return np.hstack([result.photo, gap, result.restored])


def save(result: PhotoResult, folder: Path) -> None:
    """Write `<stem>.restored.png` and `<stem>.sheet.png`, each atomically. Raises StorageError."""
    try:
        write_picture(folder / f"{result.path.stem}.restored.png", result.restored)
        write_picture(folder / f"{result.path.stem}.sheet.png", side_by_side(result))
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}; make room, or choose another --out") from error


def _to_json(face: RestoredFace) -> dict[str, object]:
    who, restoration = face.identity, face.restoration
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
        "box": list(face.face.box.rounded()),
    }


def restore_photos(config: Config, paths: Sequence[Path], out: Path) -> list[SourceError]:
    """Restore photos into the folder `out`, and print a table row or a JSON line for each face.

    Returns the errors of photos that cannot be read. Raises UsageError, ModelError before any photo is restored.
    """
    _require_distinct(paths)
    parts = Components(config)
    restorer = make_photo_restorer(parts, parts.recognizer(), config.deblur)
    _make_folder(out)
    errors: list[SourceError] = []
    print_faces = _make_printer()
    with bar(TextColumn("photos"), gauge(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=len(paths))
        for start in range(0, len(paths), _BATCH_SIZE):
            batch = paths[start : start + _BATCH_SIZE]
            for result in restorer.restore(list(_read_photos(batch, errors))):
                save(result, out)
                print_faces(result.to_json())
            progress.update(task, advance=len(batch))
    return errors


def _make_printer() -> Callable[[Iterable[dict[str, object]]], None]:
    """Return a function that prints a photo's faces on standard output: table rows on a terminal, else JSON lines. The
    function raises StorageError if they cannot be written."""
    line: Callable[[dict[str, object]], str] = json_encoder(sys.stdout)
    if sys.stdout.isatty():
        line = _row
        print(row(_WIDTHS, _WIDTHS.values()))  # noqa: T201  the command's output

    def print_faces(faces: Iterable[dict[str, object]]) -> None:
        for face in faces:
            with standard_output():
                print(line(face))  # noqa: T201  rich moves it above a progress bar

    return print_faces


def _row(face: dict[str, object]) -> str:
    restored = "" if face["restored_score"] is None else face["restored_score"]
    who = face["name"] or "unknown"
    scores = [face["score"], face["threshold"], face["raw_score"], restored]
    return row([Path(str(face["photo"])).name, who, *scores, face["deblurred_by"]], _WIDTHS.values())


def _read_photos(paths: Sequence[Path], errors: list[SourceError]) -> Iterator[tuple[Path, Image]]:
    for path in paths:
        try:
            still = read_still(path)
        except SourceError as error:
            errors.append(error)
            continue
        if still.remark:
            messages().say(f"{path}: {still.remark}")
        yield path, still.image


def _require_distinct(paths: Sequence[Path]) -> None:
    """Raise UsageError if two photos have the same stem: they would be written to the same files."""
    stem, times = Counter(path.stem for path in paths).most_common(1)[0]
    if times > 1:
        raise UsageError(f"{times} photos are called {stem!r} but for folder and ending: develop them one by one")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another --out") from error
