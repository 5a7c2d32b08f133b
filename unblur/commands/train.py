"""`unblur train`: trains the deblurring network on archives of sharp faces."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
import structlog
import typer
from joblib import Memory
from pydantic import ValidationError
from rich.progress import MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from configs.document import DocumentError, parse_document
from configs.errors import ConfigError
from configs.faults import say
from configs.loader import read_yaml
from detectors.alignment import align, similarity
from detectors.yunet import YuNet
from models.assets.fetch import fetch, fingerprint
from models.backends.selection import load
from recognize.embedders.sface import DIMENSIONS, SFace
from stream.errors import OutputError, UsageError
from stream.values import Array, Image
from unblur.commands.options import Command, command_app, examples
from unblur.evaluate.data import archives as archived
from unblur.terminal import Messages, Results, bar, gauge, messages, show_activity

app = command_app()


@app.command(
    cls=Command,
    epilog=examples(
        "unblur train --data ../shared/data -o out/train",
        "unblur train --data ../shared/data -o out/train --set crops=50000",
        "unblur train --data ../shared/data -o out/train --recipe configs/train/small.yaml",
    ),
)
def train(
    data: Annotated[Path, typer.Option(help="A folder laid out like the project's shared data: train/, val/.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for checkpoints, curves and the network.")],
    recipe: Annotated[Path | None, typer.Option(help="A YAML file (configs/train/); the default if not given.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="KEY=VALUE over the recipe, for example crops=50000.")] = None,
) -> None:
    """Train the deblurring network; resumes a stopped run.

    Needs the extra `train`.
    """
    Results().say(str(train_network(data, out, recipe, set or [])))


if TYPE_CHECKING:
    from torch import nn
    from torch.utils.tensorboard import SummaryWriter

    from deblur.train.augmentation import Photo
    from deblur.train.recipe import Recipe
    from deblur.train.trainer import Step, Trainer

_log = structlog.get_logger(__name__)

VALIDATED = 96
"""Minimum number of photos in a validation, evenly sampled from the val split (if it has so many)."""
_RENAMED = {"seed.yaml": "two_scale.yaml", "beside.yaml": "neighbors.yaml"}
"""Recipes of the last release and their present names."""
_BORDER = 0.25
"""Padding of tight crops before detection, as a share of their side: the detector needs to see a whole head."""


def train_network(data: Path, out: Path, recipe_file: Path | None = None, overrides: Sequence[str] = ()) -> Path:
    """Train on `data`/train/*.tar, validate on `data`/val/lfw160.tar, and return the best network's ONNX file. Ctrl-C
    stops after the current step, and the same command resumes.

    Raises UsageError for invalid data, an invalid recipe or an invalid checkpoint.
    """
    try:
        from deblur.train.onnx_export import export
        from deblur.train.trainer import Trainer
        from deblur.train.validation import Validation
    except ImportError as error:
        raise UsageError(f"training needs the extra `train` ({error}): pip install 'unblur[train]'") from error
    recipe, console = read_recipe(recipe_file, overrides), messages()
    archives = _archives(data)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be the folder of the run: {error.strerror}") from error
    photos, validation_photos = (_align_photos(each, out, console) for each in (archives[:-1], archives[-1:]))
    embedder = _embedder()
    step = max(1, len(validation_photos) // VALIDATED)
    validation = Validation(validation_photos[::step], embedder, others=recipe.net.others)
    try:
        trainer = Trainer(recipe, photos, out, validation, embedder)
    except ValueError as error:
        raise UsageError(str(error)) from error
    _run(trainer, out, console)
    file = out / "network.onnx"
    export(trainer.best_net(), file)
    return file


def read_recipe(file: Path | None, overrides: Sequence[str] = ()) -> Recipe:
    """Read the recipe from a YAML file, or take the default; `overrides` are KEY=VALUE, with dots for nested keys.
    Raises UsageError."""
    from deblur.train.recipe import Recipe

    settings = _settings(_present_name(file)) if file else {}
    for override in overrides:
        _set_key(settings, override)
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {say(fault)}" for fault in error.errors())
        raise UsageError(f"the recipe{f' {file}' if file else ''} cannot be used: {faults}") from error


def _present_name(file: Path) -> Path:
    """The recipe under its present name, if it is named as in the last release: such names are read for one more."""
    renamed = file.with_name(_RENAMED.get(file.name, file.name))
    if file.exists() or not renamed.exists():
        return file
    _log.warning("an old name of a recipe: the next release will not find it", old=str(file), new=str(renamed))
    return renamed


def _settings(file: Path) -> dict[str, Any]:
    try:
        settings = read_yaml(file, "recipe")
    except ConfigError as error:
        raise UsageError(str(error)) from error
    if not isinstance(settings, dict):
        raise UsageError(f"the recipe {file} is not a list of keys and values")
    return settings


def _set_key(settings: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    *path, last = key.split(".")
    for name in path:
        inner = settings.setdefault(name, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {override}: {name} holds no keys")
        settings = inner
    try:
        settings[last] = parse_document(value)
    except DocumentError as error:
        raise UsageError(f"--set {override}: {value!r} is not YAML: {error}") from error
    if not equals:
        raise UsageError(f"--set takes KEY=VALUE, not {override!r}")


def _run(trainer: Trainer, out: Path, console: Messages) -> None:
    """Run the trainer to the end, with a progress bar and TensorBoard curves. Raises KeyboardInterrupt if it was
    stopped, after saving a checkpoint."""
    from torch.utils.tensorboard import SummaryWriter

    columns = (
        TextColumn("training"),
        gauge(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with SummaryWriter(str(out)) as board, bar(*columns) as progress, _catch_signals() as stopped:
        task = progress.add_task("", total=trainer.recipe.crops, completed=trainer.crops, losses="")
        for step in _steps_until(stopped, trainer.run()):
            losses = " ".join(f"{name} {value:.4f}" for name, value in step.losses.items())
            progress.update(task, completed=step.crops, losses=losses)
            _record(board, step, console)
    if trainer.crops < trainer.recipe.crops:
        trainer.save()
        console.say(f"stopped after {trainer.crops:,} crops; the same command goes on from there")
        raise KeyboardInterrupt


def _steps_until(stopped: Event, steps: Iterator[Step]) -> Iterator[Step]:
    """Yield the steps until `stopped` is set. A signal to the whole process group also ends the data loader's worker;
    the loader's error is then ignored."""
    try:
        for step in steps:
            yield step
            if stopped.is_set():
                return
    except RuntimeError:
        if not stopped.is_set():
            raise


@contextmanager
def _catch_signals() -> Iterator[Event]:
    """Context manager in which Ctrl-C and SIGTERM set an event, so that the current step is finished before saving."""
    stopped = Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stopped.set()) for number in numbers]
    try:
        yield stopped
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _record(board: SummaryWriter, step: Step, console: Messages) -> None:
    for name, value in step.losses.items():
        board.add_scalar(f"loss/{name}", value, step.crops)
    if step.figures:
        for name, value in step.figures.items():
            board.add_scalar(name, value, step.crops)
        figures = "  ".join(f"{name} {value:.3f}" for name, value in step.figures.items())
        console.say(f"{step.crops:,} crops  {figures}{'  best so far' if step.best else ''}")


def _archives(data: Path) -> list[Path]:
    """The training archives, and last the validation archive."""
    archives, validation = sorted((data / "train").glob("*.tar")), data / "val/lfw160.tar"
    if not archives:
        raise UsageError(f"there is nothing to train on: no archive of photos (*.tar) in {data / 'train'}")
    if not validation.is_file():
        raise UsageError(f"there is nothing to choose by: no {validation}")
    return [*archives, validation]


def _align_photos(archives: Iterable[Path], out: Path, console: Messages) -> list[Photo]:
    """Detect and align the faces of the photos; photos without a face are left out. The results are cached in `out`."""
    from deblur.train.augmentation import Photo

    detect_and_embed = Memory(out / "cache", verbose=0).cache(_detect_and_embed)
    candidates: list[Photo] = []
    for archive in archives:
        with show_activity(f"finding the faces of {archive.name}"):
            matrices, identities = detect_and_embed(archive, archive.stat().st_mtime_ns)
        candidates += [Photo(*of) for of in zip(archived.read(archive).values(), matrices, identities, strict=True)]
    photos = [photo for photo in candidates if np.isfinite(photo.matrix).all()]
    console.say(f"{len(photos):,} faces on {len(candidates):,} photos")
    return photos


def _detect_and_embed(archive: Path, changed: int) -> tuple[Array, Array]:  # noqa: ARG001  part of the cache key
    """Return for each photo of an archive the matrix to its aligned crop (N x 2 x 3, NaN if no face is found) and the
    crop's embedding (N x 128, 0 if no face is found)."""
    detector = YuNet(load(fetch("yunet")), min_confidence=0.5)
    embedder = SFace(load(fetch("sface")), fingerprint("sface"))
    matrices, identities = [], []
    for image in archived.read(archive).values():
        points = _landmarks(detector, image)
        matrices.append(np.full((2, 3), np.nan, np.float32) if points is None else similarity(points))
        identities.append(
            np.zeros(DIMENSIONS, np.float32) if points is None else embedder.embed([align(image, points)[0]])[0]
        )
    return np.stack(matrices), np.stack(identities)


def _landmarks(detector: YuNet, image: Image) -> Array | None:
    border = round(_BORDER * image.shape[0])
    padded = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101)
    faces = detector.detect(np.asarray(padded, np.uint8))
    return faces[0].landmarks - border if faces else None


def _embedder() -> nn.Module:
    """SFace as a torch module with frozen weights."""
    import onnx
    from onnx2pytorch import ConvertModel

    return ConvertModel(onnx.load(str(fetch("sface")))).eval().requires_grad_(False)
