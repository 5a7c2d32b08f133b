"""`unblur fit`: fits an embedder to people's photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from configs.loader import load
from configs.schema import Config
from detectors.alignment import align
from recognize.embedders.fitted_embedder import FittedMethod
from recognize.embedders.fitted_embedder import fit as fit_file
from recognize.gallery.people_gallery import write_private
from recognize.gallery.photo_folders import Folder
from stream.errors import OutputError, SourceError
from stream.interfaces import Detector
from stream.storage.images import read_picture
from stream.values import Image
from unblur.assembly.components import Components, fusion_trainer
from unblur.commands.options import Command, ConfigOption, Fitted, command_app, examples
from unblur.people.enrollment import scan_folders
from unblur.terminal import messages, progress

app = command_app()


@app.command(
    cls=Command,
    epilog=examples(
        "unblur fit faces --embedder lda -o lda.onnx", "unblur fit faces --embedder fusion-cnn -o fusion.onnx --seed 1"
    ),
)
def fit(
    faces: Annotated[
        Path, typer.Argument(metavar="FACES", help="FACES/<Name>/*.jpg: people whose photos it is fitted to.")
    ],
    embedder: Annotated[Fitted, typer.Option(help="fusion-cnn needs the extra `train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to make; recognition.fitted takes it.")],
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the training of fusion-cnn.")] = 0,
    config: ConfigOption = None,
) -> None:
    """Fit an embedder to the photos of your own people.

    `unblur enroll` and `unblur run` use it with recognition.embedder and recognition.fitted in the configuration.
    """
    fit_embedder(load(config, {}), faces, embedder, out, seed)


def fit_embedder(config: Config, faces: Path, method: FittedMethod, out: Path, seed: int) -> None:
    """Fit an embedder to the largest face of each photo in the folders of `faces`, and write it to `out`.

    Raises UsageError if there are too few people, OutputError if the file cannot be written, ModelError.
    """
    people = scan_folders(faces).people
    crops, owners = _crops(people, Components(config).still_detector())
    labels = np.unique(owners, return_inverse=True)[1]  # people without a face on any photo get no label
    content = fit_file(method, crops, labels, seed, fusion_trainer() if method == "fusion-cnn" else None)
    try:
        write_private(out, content)
    except OSError as error:
        raise OutputError(f"the embedder cannot be written to {out}: {error.strerror}") from error
    photos = sum(len(person.photos) for person in people)
    summary = f"{method} fitted to {len(crops)} of {photos} photos, of {len(set(owners))} people, in {out}"
    messages().say(summary)


def _crops(people: Sequence[Folder], detector: Detector) -> tuple[list[Image], list[int]]:
    """Aligned crops (112 x 112), and for each the index of its person."""
    crops, owners = [], []
    with progress() as bar:
        task = bar.add_task("photos", total=sum(len(person.photos) for person in people))
        for number, person in enumerate(people):
            for photo in person.photos:
                for crop in _largest_face(photo, detector):
                    crops.append(crop)
                    owners.append(number)
                bar.advance(task)
    return crops, owners


def _largest_face(photo: Path, detector: Detector) -> Iterator[Image]:
    """Yield the aligned crop of a photo's largest face, if the photo can be read and shows one."""
    try:
        image = read_picture(photo)
    except SourceError:
        return
    faces = detector.detect(image)
    if faces:
        yield align(image, max(faces, key=lambda face: face.box.area).landmarks)[0]
