"""What a restoration is worth to a recogniser: SFace's cosine between the sharp face and the restored one.

    python -m benchmarks.restoration_similarity --data ../shared/data                  all three tables
    python -m benchmarks.restoration_similarity --data ../shared/data --table track    one of them

val/lfw160, moving along a line in a random direction; noise sigma 0.01, every second picture through JPEG 60. The
kernel that is undone is off as a tracker's is: 6 % in length, one pixel across. PSNR over the inner 112 x 112.
Answers what the stage is worth to a track; which side a crop needs, how many steps, how much smoothness; and what is
gained where no motion is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import datasets
from deblur import degradation, kernels
from deblur.blur_estimation import BlurEstimator
from deblur.cnn import CNN
from deblur.deblurrers import BoxKernelDeblurrer, RichardsonLucyDeblurrer
from deblur.richardson_lucy import deconvolve
from models.assets import manifest
from models.assets.fetch import fetch
from models.backends import selection
from models.backends.session import Session
from stream.interfaces import Deblurrer
from stream.values import Array, FaceCrop, FaceQuality, Image

VIEW = 112
_CANVAS = 240
Draw = Callable[[np.random.Generator], Array]
LENGTHS = (9, 19, 30, 40)
LONGER = (50, 60)
"""Beyond what the network was trained on."""
SHUTTER = 0.6
TABLES = ("track", "motion", "still")


@dataclass(frozen=True)
class Case:
    sharp: Image
    truth: Array
    """The sharp face's embedding."""
    blurred: Image
    kernel: Array


Restore = Callable[[Case, np.random.Generator], Image]


class Likeness:
    """Cosine and PSNR of restored pictures against the sharp ones, averaged over the cases."""

    def __init__(self, model: Path) -> None:
        self._session = selection.load(model, "onnxruntime")

    def cases(self, faces: list[Image], draw: Draw) -> list[Case]:
        rng, made = np.random.default_rng(5), []
        for number, face in enumerate(faces):
            kernel = draw(rng)
            picture = kernels.recorded(kernels.blur(face, kernel), 0.01, rng)
            made.append(Case(face, self._embed(face), degradation.jpeg(picture, 60) if number % 2 else picture, kernel))
        return made

    def of(self, cases: list[Case], restore: Restore) -> str:
        rng = np.random.default_rng(6)
        restored = [(case, datasets.crop_center(restore(case, rng), VIEW)) for case in cases]
        cosine = np.mean([case.truth @ self._embed(image) for case, image in restored])
        psnr = np.mean([cv2.PSNR(datasets.crop_center(case.sharp, VIEW), image) for case, image in restored])
        return f"{cosine:.3f} | {psnr:.2f}"

    def _embed(self, image: Image) -> Array:
        view = datasets.crop_center(image, VIEW)[None, :, :, ::-1].transpose(0, 3, 1, 2)
        embedding = self._session.run(np.ascontiguousarray(view, np.float32))[0][0]
        return np.asarray(embedding / np.linalg.norm(embedding), np.float32)


def vector(kernel: Array) -> NDArray[np.float64]:
    """The motion that a line kernel stands for."""
    variances, axes = np.linalg.eigh(kernels.covariance(kernel))
    return np.asarray(np.sqrt(12 * variances[1]) * axes[:, 1])


def mistaken(kernel: Array, rng: np.random.Generator) -> Array:
    """The line as a tracker that errs takes it to be."""
    x, y = vector(kernel) * np.exp(rng.normal(0, 0.06))
    across = rng.standard_normal() / np.hypot(x, y)
    return kernels.line(x - across * y, y + across * x)


def line(length: float, rng: np.random.Generator) -> Array:
    angle = rng.uniform(0, np.pi)
    return kernels.line(length * np.cos(angle), length * np.sin(angle))


def mistaken_undone(case: Case, rng: np.random.Generator, steps: int, smoothness: float) -> Image:
    return deconvolve(datasets.crop_center(case.blurred, 128), mistaken(case.kernel, rng), steps, smoothness)


def undone(case: Case, _: np.random.Generator, side: int) -> Image:
    return deconvolve(datasets.crop_center(case.blurred, side), case.kernel, 20)


def gaussian_undone(case: Case, _: np.random.Generator, measure: BlurEstimator, share: float, steps: int) -> Image:
    return deconvolve(datasets.crop_center(case.blurred, 128), measure.estimate(case.blurred).kernel(share), steps)


def motion_table(faces: list[Image], likeness: Likeness) -> None:
    print("| length | undone | cosine | PSNR dB |\n|---|---|---|---|")
    for length in LENGTHS:
        moved = likeness.cases(faces, partial(line, length))
        print(f"| {length} | nothing | {likeness.of(moved, lambda case, _: case.blurred)} |")
        for side in (112, 128, 160):
            cell = likeness.of(moved, partial(undone, side=side))
            print(f"| {length} | true line, side {side}, 20 steps | {cell} |", flush=True)
        for steps, smoothness in product((10, 20, 30), (0.002, 0.004, 0.008)):
            cell = likeness.of(moved, partial(mistaken_undone, steps=steps, smoothness=smoothness))
            print(f"| {length} | mistaken line, {steps} steps, smoothness {smoothness} | {cell} |", flush=True)


def still_table(faces: list[Image], likeness: Likeness) -> None:
    """Where no motion is known: nothing, or the Gaussian of the estimated extents."""
    measure = BlurEstimator()
    print("\n| blur | undone | cosine | PSNR dB |\n|---|---|---|---|")
    for name, draw in BLURS.items():
        blurred = likeness.cases(faces, draw)
        print(f"| {name} | nothing | {likeness.of(blurred, lambda case, _: case.blurred)} |")
        for share, steps in product((0.6, 0.8, 1.0), (6, 10)):
            cell = likeness.of(blurred, partial(gaussian_undone, measure=measure, share=share, steps=steps))
            print(f"| {name} | Gaussian, share {share}, {steps} steps | {cell} |", flush=True)


BLURS: dict[str, Draw] = {
    "line9": partial(line, 9),
    "line19": partial(line, 19),
    "traj13": partial(kernels.trajectory, 13),
    "traj19": partial(kernels.trajectory, 19),
    "traj27": partial(kernels.trajectory, 27),
    "disk3": lambda _: kernels.disk(3),
    "disk6": lambda _: kernels.disk(6),
    "box5": lambda _: kernels.box(5),
}


def track_table(faces: list[Image], likeness: Likeness, network: Session) -> None:
    """The whole stage on crops of one camera, whose shutter it does not know."""
    print(f"\n| length, shutter {SHUTTER} | by | cosine | PSNR dB |\n|---|---|---|---|")
    for length in (*LENGTHS, *LONGER):
        moved = likeness.cases(faces, partial(line, length))
        print(f"| {length} | nothing | {likeness.of(moved, lambda case, _: case.blurred)} |")
        deblurrers: dict[str, Deblurrer] = {
            "seed preset": BoxKernelDeblurrer(),
            "Richardson-Lucy": RichardsonLucyDeblurrer(),
            "the network": CNN(network),
        }
        for name, deblurrer in deblurrers.items():
            print(f"| {length} | {name} | {likeness.of(moved, partial(tracked, deblurrer=deblurrer))} |", flush=True)


def tracked(case: Case, rng: np.random.Generator, deblurrer: Deblurrer) -> Image:
    x, y = vector(case.kernel) / SHUTTER + rng.standard_normal(2)
    image, matrix = datasets.crop_center(case.blurred, 128), np.eye(2, 3, dtype=np.float32)
    crop = FaceCrop("simulated", 0, 0, 0.0, image, matrix, (float(x), float(y)), FaceQuality(1, 1, 1))
    return deblurrer.restore([crop])[0].image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--table", choices=TABLES, action="append", help="which; all if none is given")
    parser.add_argument("--network", type=Path, help="deblurs; without it the one that comes with unblur")
    parser.add_argument("--every", type=int, default=20, help="take every n-th face")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    photographs = datasets.read(arguments.data / "val/lfw160.tar", arguments.every)
    faces = [datasets.aligned(photograph, _CANVAS) for photograph in photographs]
    likeness, wanted = Likeness(fetch("sface")), arguments.table or TABLES
    if "track" in wanted:
        track_table(faces, likeness, selection.load(arguments.network or manifest.own("deblur").path))
    if "motion" in wanted:
        motion_table(faces, likeness)
    if "still" in wanted:
        still_table(faces, likeness)


if __name__ == "__main__":
    main()
