"""The seed's experiment: blur sharp faces with known kernels, restore them, and compare with the sharp ones.

    python -m benchmarks.restoration --data ../shared/data                 on test/ffhq192
    python -m benchmarks.restoration --data ../shared/data --split val     on val/lfw160, for choosing

Blurred before cropping to 128 x 128, noise sigma 0.01, 8 bits; PSNR (dB) and SSIM on RGB; the gain over the blurred
picture with its 95 % bootstrap interval over faces.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks import photos
from deblur import kernels
from deblur.restore import RichardsonLucy, seed_preset, steps
from deblur.richardson_lucy import deconvolve
from stream.data import Array, Crop, Image, Quality

Draw = Callable[[np.random.Generator], Array]
SIDE = 128
SPLITS = {"test": "test/ffhq192.tar", "val": "val/lfw160.tar"}


@dataclass(frozen=True)
class Case:
    sharp: Image
    blurred: Image
    kernel: Array


def conditions(data: Path) -> dict[str, Draw]:
    """The rows of the table: what blurs the faces."""
    with np.load(data / "kernels/levin09.npz") as stored:
        levin = [kernels.centred(stored[name]) for name in stored if name.startswith("levin")]
    return {
        "box5": lambda _: kernels.box(5),
        "line9": lambda rng: _line(9, rng.uniform(0, np.pi)),
        "disk3": lambda _: kernels.disk(3),
        **{f"traj{size}": partial(kernels.trajectory, size) for size in (13, 19, 27, 37)},
        "levin": lambda rng: levin[rng.integers(len(levin))],
        "none": lambda _: kernels.box(1),
    }


def _line(length: float, angle: float) -> Array:
    return kernels.line(length * np.cos(angle), length * np.sin(angle))


def cases(faces: list[Image], draw: Draw, rng: np.random.Generator) -> list[Case]:
    drawn = [(face, draw(rng)) for face in faces]
    return [
        Case(
            photos.centre(face, SIDE),
            photos.centre(kernels.recorded(kernels.blur(face, kernel), 0.01, rng), SIDE),
            kernel,
        )
        for face, kernel in drawn
    ]


def methods() -> dict[str, Callable[[Case], Image]]:
    blind = RichardsonLucy()
    return {
        "blurred": lambda case: case.blurred,
        "seed: plain, fixed 5x5 mean": lambda case: seed_preset(case.blurred),
        "unblur, motion unknown": lambda case: blind.restore([_crop(case.blurred)])[0].image,
        "oracle: true kernel": lambda case: deconvolve(case.blurred, case.kernel, steps(kernels.extent(case.kernel))),
    }


def _crop(image: Image) -> Crop:
    return Crop("photo", 0, 0, 0.0, image, np.eye(2, 3, dtype=np.float32), None, Quality(1, 1, 1))


def scores(case: Case, restored: Image) -> tuple[float, float]:
    """PSNR and SSIM against the sharp face."""
    one, other = case.sharp.astype(np.float32) / 255, restored.astype(np.float32) / 255
    similarity = structural_similarity(one, other, data_range=1, channel_axis=-1)
    return float(peak_signal_noise_ratio(one, other, data_range=1)), float(similarity)


def interval(gains: NDArray[np.float64]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean."""
    drawn = np.random.default_rng(0).integers(len(gains), size=(2000, len(gains)))
    low, high = np.percentile(gains[drawn].mean(1), (2.5, 97.5))
    return float(low), float(high)


def table(faces: list[Image], data: Path) -> None:
    print("| blur | method | PSNR dB | gain | SSIM | gain |")
    print("|---|---|---|---|---|---|")
    for name, draw in conditions(data).items():
        drawn = cases(faces, draw, np.random.default_rng(4))
        before = np.array([scores(case, case.blurred) for case in drawn])
        for method, restore in methods().items():
            after = np.array([scores(case, restore(case)) for case in drawn])
            print(f"| {name} | {method} | {_cells(before, after)} |", flush=True)


def _cells(before: NDArray[np.float64], after: NDArray[np.float64]) -> str:
    cells = []
    for column, digits in ((0, 2), (1, 3)):
        gains = after[:, column] - before[:, column]
        low, high = interval(gains)
        cells.append(f"{after[:, column].mean():.{digits}f}")
        cells.append(f"{gains.mean():+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})" if gains.any() else "")
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--every", type=int, default=1, help="take every n-th face")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    table(photos.read(arguments.data / SPLITS[arguments.split], arguments.every), arguments.data)


if __name__ == "__main__":
    main()
