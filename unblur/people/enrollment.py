"""Enrollment for `unblur enroll`: adds people from folders of photos to a gallery and reports every doubtful photo."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

from configs.schema import Config
from deblur.blur_estimation import BlurEstimator, enlargement
from detectors.alignment import align
from recognize.gallery import gallery_edits
from recognize.gallery import people_gallery as galleries
from recognize.gallery.enrollment import Enroller, EnrollmentReport, FaceExtractor
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import photo_id
from recognize.gallery.photo_checks import CheckedPhoto, PhotoIssue
from recognize.gallery.photo_folders import PassedOver, PhotoFolders, scan
from stream.errors import UnblurError
from stream.storage.encryption import Cipher
from stream.values import FaceDetection, Image
from unblur.assembly.components import Components
from unblur.people.face_thumbnails import FaceThumbnails, encode_thumbnail, thumbnails_folder
from unblur.people.temp_crops import TempCrops
from unblur.terminal import bar, gauge, messages, table


def enroll(config: Config, faces: Path, target: Path, strict: bool) -> None:
    """Enroll the people of `faces`, one folder each, into the gallery at `target`, and save the crops of their photos
    in the folder next to it. With `strict`, doubtful photos are left out.

    Raises UsageError if no person can be enrolled; UnblurError, after the gallery was written, if a person could not be
    enrolled or a file could not be read.
    """
    folders = scan_folders(faces)
    parts = Components(config)
    known = _load_or_new(target, parts)
    enroller = make_enroller(config, parts, strict=strict)
    with closing(TempCrops(target.parent)) as crops:
        with _Progress(crops, parts.cipher) as progress:
            enrollment = enroller.enroll(folders.people, known, progress)
        _save(enrollment, crops, target, parts)
    _report(enrollment, strict, target)
    if missing := [*_unusable(enrollment), *_unread(enrollment, folders.passed_over)]:
        raise UnblurError("; ".join(missing))


class _Progress:
    """Progress bar of an enrollment; also stores the crops in `crops` as they are computed."""

    def __init__(self, crops: TempCrops, cipher: Cipher | None) -> None:
        columns = (TextColumn("{task.description}", markup=False), gauge(), MofNCompleteColumn(), TimeRemainingColumn())
        self._crops, self._cipher = crops, cipher
        self._bar = bar(*columns)
        self._task = self._bar.add_task("photos", total=None)

    def expect(self, photos: int) -> None:
        self._bar.update(self._task, total=photos)

    def note(self, photo: CheckedPhoto, crop: Image | None) -> None:
        self._bar.advance(self._task)
        if crop is not None and photo.embedding is not None:
            self._crops.add(photo_id(photo.embedding), encode_thumbnail(crop, self._cipher))

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


def scan_folders(faces: Path) -> PhotoFolders:
    """Scan the folders of people's photos; skipped entries are printed on standard error. Raises UsageError."""
    folders = scan(faces)
    for each in folders.passed_over:
        messages().say(f"passed over: {each}")
    return folders


def _unusable(enrollment: EnrollmentReport) -> list[str]:
    names = ", ".join(enrollment.unusable)
    return [f"not enrolled, for no photo can be used: {names}"] if names else []


def _unread(enrollment: EnrollmentReport, passed_over: Sequence[PassedOver]) -> list[str]:
    unread = sum(PhotoIssue.UNREADABLE in photo.findings for photo in enrollment.photos) + len(passed_over)
    return [f"not looked at: {unread} files or folders, named above"] if unread else []


def _save(enrollment: EnrollmentReport, crops: TempCrops, target: Path, parts: Components) -> None:
    with galleries.gallery_lock(target):
        # Another process may have changed the gallery meanwhile: read it again.
        gallery = gallery_edits.reenroll(_load_or_new(target, parts), enrollment.enrolled)
        faces = FaceThumbnails(thumbnails_folder(target), parts.cipher)
        for person in enrollment.enrolled.values():
            faces.save(crops.read(person.photos))
        gallery.save(target, parts.cipher)
        faces.tidy(gallery)


def _load_or_new(path: Path, parts: Components) -> Gallery:
    fingerprint = parts.embedder.fingerprint
    if not path.exists():
        return Gallery(fingerprint)
    return galleries.load_gallery(path, fingerprint, allow_empty=True, cipher=parts.cipher)


def make_enroller(config: Config, parts: Components, *, strict: bool = False) -> Enroller:
    """Make the enroller with the components and thresholds of the configuration."""
    return Enroller(
        parts.still_detector(),
        _make_face_extractor(),
        parts.embedder,
        threshold=config.recognition.threshold,
        independent=config.recognition.fitted is None,
        strict=strict,
    )


def _make_face_extractor() -> FaceExtractor:
    blur_estimator = BlurEstimator()

    def extract(image: Image, face: FaceDetection) -> tuple[Image, float]:
        crop, matrix = align(image, face.landmarks)
        return crop, blur_estimator.estimate(crop, enlargement(matrix)).extent

    return extract


def _report(enrollment: EnrollmentReport, strict: bool, target: Path) -> None:
    findings = table("person", "photo", "finding", "enrolled")
    for photo in enrollment.photos:
        for finding, why in photo.findings.items():
            used = "yes" if photo.usable(strict) else "no"
            findings.add_row(photo.person, photo.name, f"{finding}: {why}", used)
    console = messages()
    if findings.row_count:
        console.print(findings)
    usable = sum(photo.usable(strict) for photo in enrollment.photos)
    unchanged = f", {len(enrollment.unchanged)} unchanged" if enrollment.unchanged else ""
    people = len(enrollment.gallery.names)
    console.say(f"{people} people known{unchanged}; {usable} of {len(enrollment.photos)} photos enrolled in {target}")
