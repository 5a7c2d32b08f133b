"""`unblur fit`: people's photos become an embedder of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from configs.schema import Config
from detectors.alignment import align
from recognize.embedders.fitted_embedder import Method, fit
from recognize.gallery.people_gallery import write_private
from recognize.gallery.photo_folders import Folder
from stream.errors import OutputError, SourceError
from stream.interfaces import Detector
from stream.storage.images import read_picture
from stream.values import Image
from unblur.assemble import Parts, fusion_trainer
from unblur.enrolment import scan_named
from unblur.evaluate.reporting.output_folder import progress
from unblur.terminal import messages


def fit_embedder(config: Config, faces: Path, method: Method, out: Path, seed: int) -> None:
    """Fit an embedder to the people in the folders of `faces`, each photo's largest face; write it to `out`.

    Raises UsageError if they are too few, or the file cannot be written; ModelError.
    """
    people = scan_named(faces).people
    crops, owners = _crops(people, Parts(config).still_detector())
    labels = np.unique(owners, return_inverse=True)[1]  # who has no face on any photo is nobody to learn
    content = fit(method, crops, labels, seed, fusion_trainer() if method == "fusion-cnn" else None)
    try:
        write_private(out, content)
    except OSError as error:
        raise OutputError(f"the embedder cannot be written to {out}: {error.strerror}") from error
    photos = sum(len(person.photos) for person in people)
    told = f"{method} fitted to {len(crops)} of {photos} photos, of {len(set(owners))} people, in {out}"
    messages().say(told)


def _crops(people: Sequence[Folder], detector: Detector) -> tuple[list[Image], list[int]]:
    """Aligned crops, and each one's person."""
    crops, owners = [], []
    with progress() as bar:
        task = bar.add_task("photos", total=sum(len(person.photos) for person in people))
        for number, person in enumerate(people):
            for photo in person.photos:
                for crop in _found(photo, detector):
                    crops.append(crop)
                    owners.append(number)
                bar.advance(task)
    return crops, owners


def _found(photo: Path, detector: Detector) -> Iterator[Image]:
    """The largest face, if there is one that can be seen."""
    try:
        image = read_picture(photo)
    except SourceError:
        return
    faces = detector.detect(image)
    if faces:
        yield align(image, max(faces, key=lambda face: face.box.area).landmarks)[0]
