"""`unblur evaluate restore`: how near does restoration come to the sharp face?

The seed's experiment, widened: sharp faces, blurred with known kernels before they are cropped, restored, and compared
with the sharp ones. PSNR (dB) and SSIM (Wang et al., "Image quality assessment: from error visibility to structural
similarity", IEEE TIP 2004) on RGB, and the gain over the blurred picture with a bootstrap interval over faces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from stream.errors import SourceError
from stream.values import Image
from unblur import terminal
from unblur.evaluate.data import archives
from unblur.evaluate.data.blur_conditions import Condition, Shot, chosen, conditions
from unblur.evaluate.data.datasets import Split
from unblur.evaluate.experiments import methods
from unblur.evaluate.experiments.methods import Makers, Probe, probe
from unblur.evaluate.experiments.settings import Settings, side_by_side
from unblur.evaluate.reporting import output_folder, plots
from unblur.evaluate.reporting.run_record import record
from unblur.evaluate.reporting.tables import Cell, Column, Table, markdown
from unblur.evaluate.scoring.open_set_metrics import Estimate, Numbers, over

ARCHIVES: Mapping[Split, str] = {"test": "test/ffhq192.tar", "val": "val/lfw160.tar"}
SIDE = 128
SHEET = 8
"""Faces on a contact sheet."""
LOWEST = -4.0
"""dB at which the plot is cut off: the seed's preset does far worse to a sharp face."""
BLURRED = "blurred"
TITLE = "Restoration"
BACKEND = "NumPy and SciPy"
"""What runs every method but the network, of which a note tells."""
_COLUMNS = (
    Column("blur", "blur"),
    Column("method", "method"),
    Column("psnr", "PSNR dB", ".2f"),
    Column("psnr_gain", "gain", "+.2f"),
    Column("ssim", "SSIM", ".3f"),
    Column("ssim_gain", "gain", "+.3f"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One condition: a row of the table for each method, and faces for the contact sheet."""

    rows: list[dict[str, Cell]]
    sheet: dict[str, list[Image]]


def evaluate(settings: Settings, out: Path) -> str:
    """Evaluate, leave table and plots in `out`, and give the table as Markdown.

    Raises UsageError, ModelError, StorageError.
    """
    cv2.setNumThreads(1)
    under = chosen(conditions(settings.data), settings.conditions)
    deblurrers = methods.makers(settings.backend, settings.network)
    names = methods.chosen(settings.methods, deblurrers)
    archive = settings.data / ARCHIVES[settings.split]
    faces = _faces(archive, settings.every)
    notes = [f"{len(faces)} faces, their middle {SIDE} x {SIDE} pixels"]
    notes += methods.told(names, settings.backend, settings.network)
    terminal.make_writable_folder(out)
    told = record([archive], settings.seed, BACKEND, *notes)
    outcomes = _run(under, partial(_outcome, faces=faces, names=names, deblurrers=deblurrers, seed=settings.seed))
    table = Table("Against the sharp faces", _COLUMNS, [row for each in outcomes.values() for row in each.rows])
    drawn: dict[str, output_folder.Draw] = {"gain": partial(plots.gains, _gains(table), "PSNR gain, dB", LOWEST)}
    drawn |= {f"sheet-{name}": partial(plots.sheet, each.sheet) for name, each in outcomes.items()}
    output_folder.write(out, TITLE, [table], told, drawn)
    return markdown(TITLE, [table], told)


def _run(under: Sequence[Condition], work: Callable[[Condition], Outcome]) -> dict[str, Outcome]:
    """By condition."""
    outcomes = {}
    with terminal.progress() as progress:
        task = progress.add_task("restore", total=len(under))
        for condition, outcome in zip(under, side_by_side(work, under), strict=True):
            outcomes[condition.name] = outcome
            progress.advance(task)
    return outcomes


def _faces(archive: Path, every: int) -> list[Image]:
    """Raises SourceError if there are none, or one is too small."""
    faces = archives.read(archive, every)
    for name, face in faces.items():
        if min(face.shape[:2]) < SIDE:
            raise SourceError(f"{name} in {archive} is {face.shape[1]} x {face.shape[0]}: sides of {SIDE} are needed")
    return list(faces.values())


def _outcome(
    condition: Condition, faces: Sequence[Image], names: Sequence[str], deblurrers: Makers, seed: int
) -> Outcome:
    sharp = [archives.centre(face, SIDE) for face in faces]
    blurred = [_probe(shot) for shot in condition.shots(faces, seed)]
    before = _scores(sharp, [each.crop.image for each in blurred])
    outcome = Outcome([], {})
    for name, restore in {BLURRED: methods.left, **methods.methods(names, deblurrers, condition.straight)}.items():
        restored = [each.image for each in restore(blurred)]
        outcome.rows.append({"blur": condition.name, "method": name, **_cells(before, _scores(sharp, restored))})
        outcome.sheet[name] = restored[:SHEET]
    outcome.sheet["true"] = sharp[:SHEET]
    return outcome


def _probe(shot: Shot) -> Probe:
    height, width = shot.image.shape[:2]
    matrix = np.array([[1, 0, -((width - SIDE) // 2)], [0, 1, -((height - SIDE) // 2)]], np.float32)
    return probe(archives.centre(shot.image, SIDE), matrix, shot.kernel, shot.motion, shot.others)


def _scores(sharp: Sequence[Image], restored: Sequence[Image]) -> Numbers:
    """N x 2: PSNR and SSIM."""
    return np.array([_score(*pair) for pair in zip(sharp, restored, strict=True)])


def _score(sharp: Image, restored: Image) -> tuple[float, float]:
    one, other = (image.astype(np.float32) / 255 for image in (sharp, restored))
    similarity = structural_similarity(one, other, data_range=1, channel_axis=-1)
    return float(peak_signal_noise_ratio(one, other, data_range=1)), float(similarity)


def _cells(before: Numbers, after: Numbers) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for place, measure in enumerate(("psnr", "ssim")):
        gains = after[:, place] - before[:, place]
        cells[measure] = float(after[:, place].mean())
        cells[f"{measure}_gain"] = over(gains) if gains.any() else None
    return cells


def _gains(table: Table) -> dict[str, dict[str, Estimate]]:
    """The gain in PSNR by method and condition."""
    gains: dict[str, dict[str, Estimate]] = {}
    for row in table.rows:
        gain = row["psnr_gain"]
        if isinstance(gain, Estimate):
            gains.setdefault(str(row["method"]), {})[str(row["blur"])] = gain
    return gains
