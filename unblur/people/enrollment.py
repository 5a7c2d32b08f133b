"""`unblur enroll`: folders of photos become a gallery, and every doubtful photo is named."""

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
from recognize.gallery.enrollment import Enroller, Enrolment, FaceExtractor
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import photo_id
from recognize.gallery.photo_checks import Photo, PhotoIssue
from recognize.gallery.photo_folders import PassedOver, PhotoFolders, scan
from stream.errors import UnblurError
from stream.storage.encryption import Cipher
from stream.values import FaceDetection, Image
from unblur.assembly.components import Components
from unblur.people.face_thumbnails import FaceThumbnails, content, faces_of
from unblur.people.temp_crops import TempCrops
from unblur.terminal import bar, gauge, messages, table


def enroll(config: Config, faces: Path, target: Path, strict: bool) -> None:
    """Enrol the people of `faces` into the gallery at `target`, new or grown, and keep the crops of their photos in the
    folder beside it.

    Raises UsageError if nobody can be enrolled; UnblurError, after the gallery was written, if somebody could not, or
    something was not looked at.
    """
    found = scan_named(faces)
    parts = Components(config)
    known = _known(target, parts)
    enroller = enroller_of(config, parts, strict=strict)
    with closing(TempCrops(target.parent)) as pile:
        with _Progress(pile, parts.cipher) as progress:
            enrolment = enroller.enroll(found.people, known, progress)
        _keep(enrolment, pile, target, parts)
    _report(enrolment, strict, target)
    if missing := [*_unusable(enrolment), *_unread(enrolment, found.passed_over)]:
        raise UnblurError("; ".join(missing))


class _Progress:
    """A bar at the terminal; crops go to the pile as they come."""

    def __init__(self, pile: TempCrops, cipher: Cipher | None) -> None:
        columns = (TextColumn("{task.description}", markup=False), gauge(), MofNCompleteColumn(), TimeRemainingColumn())
        self._pile, self._cipher = pile, cipher
        self._bar = bar(*columns)
        self._task = self._bar.add_task("photos", total=None)

    def expect(self, photos: int) -> None:
        self._bar.update(self._task, total=photos)

    def note(self, photo: Photo, crop: Image | None) -> None:
        self._bar.advance(self._task)
        if crop is not None and photo.embedding is not None:
            self._pile.add(photo_id(photo.embedding), content(crop, self._cipher))

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


def scan_named(faces: Path) -> PhotoFolders:
    """The folders of people's photos; what is passed over there is named on standard error. Raises UsageError."""
    found = scan(faces)
    for each in found.passed_over:
        messages().say(f"passed over: {each}")
    return found


def _unusable(enrolment: Enrolment) -> list[str]:
    names = ", ".join(enrolment.unusable)
    return [f"not enrolled, for no photo can be used: {names}"] if names else []


def _unread(enrolment: Enrolment, passed_over: Sequence[PassedOver]) -> list[str]:
    unread = sum(PhotoIssue.UNREADABLE in photo.findings for photo in enrolment.photos) + len(passed_over)
    return [f"not looked at: {unread} files or folders, named above"] if unread else []


def _keep(enrolment: Enrolment, pile: TempCrops, target: Path, parts: Components) -> None:
    with galleries.gallery_lock(target):
        gallery = gallery_edits.reenroll(
            _known(target, parts), enrolment.enrolled
        )  # somebody may have changed it meanwhile
        faces = FaceThumbnails(faces_of(target), parts.cipher)
        for person in enrolment.enrolled.values():
            faces.keep(pile.take(person.photos))
        gallery.save(target, parts.cipher)
        faces.tidy(gallery)


def _known(path: Path, parts: Components) -> Gallery:
    fingerprint = parts.embedder.fingerprint
    if not path.exists():
        return Gallery(fingerprint)
    return galleries.load_gallery(path, fingerprint, allow_empty=True, cipher=parts.cipher)


def enroller_of(config: Config, parts: Components, *, strict: bool = False) -> Enroller:
    """What looks at photos as the configuration says."""
    return Enroller(
        parts.still_detector(),
        _looking(),
        parts.embedder,
        threshold=config.recognition.threshold,
        independent=config.recognition.fitted is None,
        strict=strict,
    )


def _looking() -> FaceExtractor:
    blurriness = BlurEstimator()

    def look(image: Image, face: FaceDetection) -> tuple[Image, float]:
        crop, matrix = align(image, face.landmarks)
        return crop, blurriness.estimate(crop, enlargement(matrix)).extent

    return look


def _report(enrolment: Enrolment, strict: bool, target: Path) -> None:
    findings = table("person", "photo", "finding", "enrolled")
    for photo in enrolment.photos:
        for finding, why in photo.findings.items():
            used = "yes" if photo.usable(strict) else "no"
            findings.add_row(photo.person, photo.name, f"{finding}: {why}", used)
    console = messages()
    if findings.row_count:
        console.print(findings)
    usable = sum(photo.usable(strict) for photo in enrolment.photos)
    unchanged = f", {len(enrolment.unchanged)} unchanged" if enrolment.unchanged else ""
    people = len(enrolment.gallery.names)
    console.say(f"{people} people known{unchanged}; {usable} of {len(enrolment.photos)} photos enrolled in {target}")
