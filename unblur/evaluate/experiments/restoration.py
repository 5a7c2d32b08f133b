"""`unblur evaluate restore`: measures how near restored faces are to the sharp ones.

Sharp faces are blurred with known kernels before they are cropped, then restored and compared with the sharp ones.
Metrics: PSNR (dB) and SSIM (Wang et al., "Image quality assessment: from error visibility to structural similarity",
IEEE TIP 2004) on RGB, and the gain over the blurred image with a bootstrap interval over faces.
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
from unblur.evaluate.data.blur_conditions import Condition, Shot, load_conditions, select_conditions
from unblur.evaluate.data.datasets import Split
from unblur.evaluate.experiments import methods
from unblur.evaluate.experiments.methods import DeblurrerFactories, Probe, make_probe
from unblur.evaluate.experiments.settings import Settings, run_parallel
from unblur.evaluate.reporting import output_folder, plots
from unblur.evaluate.reporting.run_record import record_run
from unblur.evaluate.reporting.tables import Cell, Column, Table, to_markdown
from unblur.evaluate.scoring.open_set_metrics import Estimate, Numbers, bootstrap

ARCHIVES: Mapping[Split, str] = {"test": "test/ffhq192.tar", "val": "val/lfw160.tar"}
SIDE = 128
SHEET = 8
"""Faces on a contact sheet."""
LOWEST = -4.0
"""dB at which the plot is cut off: the 5 x 5 preset is far worse on a sharp face."""
BLURRED = "blurred"
TITLE = "Restoration"
BACKEND = "NumPy and SciPy"
"""What runs every method except the network, which has a note of its own."""
_COLUMNS = (
    Column("blur", "blur"),
    Column("method", "method"),
    Column("psnr", "PSNR dB", ".2f"),
    Column("psnr_gain", "gain", "+.2f"),
    Column("ssim", "SSIM", ".3f"),
    Column("ssim_gain", "gain", "+.3f"),
)


@dataclass(frozen=True, slots=True)
class RestorationResult:
    """The result of one condition: a table row for each method, and faces for the contact sheet."""

    rows: list[dict[str, Cell]]
    sheet: dict[str, list[Image]]


def evaluate(settings: Settings, out: Path) -> str:
    """Evaluate, write table and plots to `out`, and return the table as Markdown.

    Raises UsageError, ModelError, StorageError.
    """
    cv2.setNumThreads(1)
    selected = select_conditions(load_conditions(settings.data), settings.conditions)
    deblurrers = methods.deblurrer_factories(settings.backend, settings.network)
    names = methods.select_methods(settings.methods, deblurrers)
    archive = settings.data / ARCHIVES[settings.split]
    faces = _read_faces(archive, settings.every)
    notes = [f"{len(faces)} faces, their middle {SIDE} x {SIDE} pixels"]
    notes += methods.describe_network(names, settings.backend, settings.network)
    terminal.make_writable_folder(out)
    record = record_run([archive], settings.seed, BACKEND, *notes)
    results = _run(
        selected, partial(_run_condition, faces=faces, names=names, deblurrers=deblurrers, seed=settings.seed)
    )
    table = Table("Against the sharp faces", _COLUMNS, [row for each in results.values() for row in each.rows])
    plot_files: dict[str, output_folder.Draw] = {
        "gain": partial(plots.draw_gains, _gains(table), "PSNR gain, dB", LOWEST)
    }
    plot_files |= {f"sheet-{name}": partial(plots.draw_contact_sheet, each.sheet) for name, each in results.items()}
    output_folder.write(out, TITLE, [table], record, plot_files)
    return to_markdown(TITLE, [table], record)


def _run(selected: Sequence[Condition], work: Callable[[Condition], RestorationResult]) -> dict[str, RestorationResult]:
    """Run the conditions in parallel; return the results by condition name."""
    results = {}
    with terminal.progress() as progress:
        task = progress.add_task("restore", total=len(selected))
        for condition, result in zip(selected, run_parallel(work, selected), strict=True):
            results[condition.name] = result
            progress.advance(task)
    return results


def _read_faces(archive: Path, every: int) -> list[Image]:
    """Read the faces. Raises SourceError if there are none, or one is too small."""
    faces = archives.read(archive, every)
    for name, face in faces.items():
        if min(face.shape[:2]) < SIDE:
            raise SourceError(f"{name} in {archive} is {face.shape[1]} x {face.shape[0]}: sides of {SIDE} are needed")
    return list(faces.values())


def _run_condition(
    condition: Condition, faces: Sequence[Image], names: Sequence[str], deblurrers: DeblurrerFactories, seed: int
) -> RestorationResult:
    sharp = [archives.crop_center(face, SIDE) for face in faces]
    blurred = [_make_probe(shot) for shot in condition.make_shots(faces, seed)]
    before = _scores(sharp, [each.crop.image for each in blurred])
    result = RestorationResult([], {})
    for name, restore in {
        BLURRED: methods.leave_blurred,
        **methods.make_rows(names, deblurrers, condition.straight),
    }.items():
        restored = [each.image for each in restore(blurred)]
        result.rows.append({"blur": condition.name, "method": name, **_cells(before, _scores(sharp, restored))})
        result.sheet[name] = restored[:SHEET]
    result.sheet["true"] = sharp[:SHEET]
    return result


def _make_probe(shot: Shot) -> Probe:
    height, width = shot.image.shape[:2]
    matrix = np.array([[1, 0, -((width - SIDE) // 2)], [0, 1, -((height - SIDE) // 2)]], np.float32)
    return make_probe(archives.crop_center(shot.image, SIDE), matrix, shot.kernel, shot.motion, shot.neighbors)


def _scores(sharp: Sequence[Image], restored: Sequence[Image]) -> Numbers:
    """Compute PSNR and SSIM of each pair (N x 2)."""
    return np.array([_score(*pair) for pair in zip(sharp, restored, strict=True)])


def _score(sharp: Image, restored: Image) -> tuple[float, float]:
    one, other = (image.astype(np.float32) / 255 for image in (sharp, restored))
    similarity = structural_similarity(one, other, data_range=1, channel_axis=-1)
    return float(peak_signal_noise_ratio(one, other, data_range=1)), float(similarity)


def _cells(before: Numbers, after: Numbers) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for column, measure in enumerate(("psnr", "ssim")):
        gains = after[:, column] - before[:, column]
        cells[measure] = float(after[:, column].mean())
        cells[f"{measure}_gain"] = bootstrap(gains) if gains.any() else None
    return cells


def _gains(table: Table) -> dict[str, dict[str, Estimate]]:
    """Group the PSNR gains by method and condition."""
    gains: dict[str, dict[str, Estimate]] = {}
    for row in table.rows:
        gain = row["psnr_gain"]
        if isinstance(gain, Estimate):
            gains.setdefault(str(row["method"]), {})[str(row["blur"])] = gain
    return gains
