"""`unblur train`: archives of sharp faces in, a deblurring network out."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import yaml
from joblib import Memory
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from detectors.align import align, similarity
from detectors.yunet import YuNet
from models.fetch import fetch, fingerprint
from models.runtime import load
from recognize.embed import DIMENSIONS, SFace
from stream.data import Array, Image
from stream.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from deblur.train.faces import Photo
    from deblur.train.loop import Step, Trainer
    from deblur.train.recipe import Recipe

VALIDATED = 96
"""Photos of the val split that a validation looks at."""
_BORDER = 0.25
"""Tight crops are continued by this share of their side before the detector looks: it wants to see a head."""


def train(data: Path, out: Path, recipe_file: Path | None, overrides: Sequence[str] = ()) -> Path:
    """Train as the recipe says, from `data`/train/*.tar, choosing by `data`/val/lfw160.tar; the best network's ONNX
    file. A run that was stopped goes on from the checkpoint in `out`. Raises UsageError for what cannot be used."""
    import torch

    from deblur.train.export import export
    from deblur.train.loop import Trainer, built
    from deblur.train.validation import Validation

    recipe = read_recipe(recipe_file, overrides)
    console = Console(stderr=True)
    photos = _aligned(_archives(data / "train"), out, console)
    validated = _aligned([data / "val/lfw160.tar"], out, console)
    embedder = _embedder()
    check = Validation(validated[:: max(1, len(validated) // VALIDATED)], embedder)
    trainer = Trainer(recipe, photos, out, check, embedder)
    _watch(trainer, out, console)
    net = built(recipe.net)
    net.load_state_dict(torch.load(trainer.best_file, weights_only=True)["net"])
    file = out / "network.onnx"
    export(net, file)
    return file


def read_recipe(file: Path | None, overrides: Sequence[str]) -> Recipe:
    """The recipe in a YAML file, or the default; `overrides` are KEY=VALUE with dots. Raises UsageError."""
    from deblur.train.recipe import Recipe

    try:
        settings = yaml.safe_load(file.read_text()) if file else {}
        for override in overrides:
            key, _, value = override.partition("=")
            *path, last = key.split(".")
            place = settings
            for name in path:
                place = place.setdefault(name, {})
            place[last] = yaml.safe_load(value)
        return Recipe.model_validate(settings or {})
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"the recipe {file or ''} cannot be used: {error}") from error


def _watch(trainer: Trainer, out: Path, console: Console) -> None:
    """Run the trainer; the bar for people, TensorBoard for curves."""
    from torch.utils.tensorboard import SummaryWriter

    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with SummaryWriter(str(out)) as board, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=trainer.recipe.crops, completed=trainer.crops, told="")
        for step in trainer.run():
            progress.update(task, completed=step.crops, told=" ".join(f"{k} {v:.4f}" for k, v in step.losses.items()))
            _record(board, step, progress.console)


def _record(board: object, step: Step, console: Console) -> None:
    if step.crops // 32 % 50 == 0:
        for name, value in step.losses.items():
            board.add_scalar(f"loss/{name}", value, step.crops)
    if step.figures:
        for name, value in step.figures.items():
            board.add_scalar(name, value, step.crops)
        told = "  ".join(f"{name} {value:.3f}" for name, value in step.figures.items())
        console.print(f"{step.crops:,} crops  {told}{'  best so far' if step.best else ''}")


def _archives(folder: Path) -> list[Path]:
    archives = sorted(folder.glob("*.tar"))
    if not archives:
        raise UsageError(f"no archives of photos (*.tar) in {folder}")
    return archives


def _aligned(archives: Iterable[Path], out: Path, console: Console) -> list[Photo]:
    """The photos on which a face is found; what was found is kept in `out`, for the next time."""
    from deblur.train.faces import Photo

    look = Memory(out / "cache", verbose=0).cache(_looked)
    photos, faceless = [], 0
    for archive in archives:
        matrices, identities = look(archive, archive.stat().st_size)
        seen = [Photo(*of) for of in zip(pictures(archive), matrices, identities, strict=True)]
        photos += [photo for photo in seen if np.isfinite(photo.matrix).all()]
        faceless += len(seen)
    console.print(f"{len(photos):,} faces on {faceless:,} photos", highlight=False)
    return photos


def _looked(archive: Path, size: int) -> tuple[Array, Array]:
    """For each photo of an archive of `size` bytes the matrix to its aligned crop (not a number where no face is found)
    and that crop's embedding: N x 2 x 3 and N x 128."""
    detector = YuNet(load(fetch("yunet")), min_confidence=0.5)
    embedder = SFace(load(fetch("sface")), fingerprint("sface"))
    matrices, identities = [], []
    for image in pictures(archive):
        points = _landmarks(detector, image)
        matrices.append(np.full((2, 3), np.nan, np.float32) if points is None else similarity(points))
        identities.append(
            np.zeros(DIMENSIONS, np.float32) if points is None else embedder.embed([align(image, points)[0]])[0]
        )
    return np.stack(matrices), np.stack(identities)


def _landmarks(detector: YuNet, image: Image) -> Array | None:
    border = round(_BORDER * image.shape[0])
    around = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101)
    faces = detector.detect(np.asarray(around, np.uint8))
    return faces[0].landmarks - border if faces else None


def pictures(archive: Path) -> Iterator[Image]:
    """The photos of a tar archive, in the order of their names."""
    with tarfile.open(archive) as tar:
        for member in sorted((m for m in tar.getmembers() if m.name.endswith(".jpg")), key=lambda m: m.name):
            file = tar.extractfile(member)
            if file is not None:
                yield np.asarray(cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _embedder() -> nn.Module:
    """SFace as a torch module with frozen weights."""
    import onnx
    from onnx2torch import convert

    model = onnx.load(str(fetch("sface")))
    # The graph's operators mean the same in both versions; onnx2torch knows the older alone.
    model.opset_import[0].version = 13
    return convert(model).eval().requires_grad_(False)
