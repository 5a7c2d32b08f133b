"""Value of restoration for recognition: SFace's cosine similarity of the sharp and the restored face.

    python -m benchmarks.restoration_similarity --data ../shared/data                  all three tables
    python -m benchmarks.restoration_similarity --data ../shared/data --table track    one of them

val/lfw160, moving along a line in a random direction; noise sigma 0.01, every second image through JPEG 60. The
kernel for deconvolution has a tracker's error: 6 % in length, one pixel across. PSNR over the inner 112 x 112. Measures
the gain of the deblurring stage for a track; the side of the crop, steps and smoothness; and the gain without a known
motion.
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
from models.backends.session import NetworkSession
from stream.interfaces import Deblurrer
from stream.values import Array, FaceCrop, FaceQuality, Image

VIEW = 112
_CANVAS = 240
KernelSampler = Callable[[np.random.Generator], Array]
LENGTHS = (9, 19, 30, 40)
LONGER = (50, 60)
"""Beyond what the network was trained on."""
SHUTTER = 0.6
TABLES = ("track", "motion", "still")


@dataclass(frozen=True)
class BlurredFace:
    """A face with its blur and its sharp embedding (`truth`)."""

    sharp: Image
    truth: Array
    blurred: Image
    kernel: Array


RestoreFace = Callable[[BlurredFace, np.random.Generator], Image]


class SimilarityMeter:
    """Measures cosine similarity and PSNR of restored images to the sharp ones, averaged over the cases."""

    def __init__(self, model: Path) -> None:
        self._session = selection.load(model, "onnxruntime")

    def make_cases(self, faces: list[Image], draw: KernelSampler) -> list[BlurredFace]:
        rng, made = np.random.default_rng(5), []
        for number, face in enumerate(faces):
            kernel = draw(rng)
            picture = kernels.add_sensor_noise(kernels.blur(face, kernel), 0.01, rng)
            made.append(
                BlurredFace(face, self._embed(face), degradation.jpeg(picture, 60) if number % 2 else picture, kernel)
            )
        return made

    def of(self, cases: list[BlurredFace], restore: RestoreFace) -> str:
        rng = np.random.default_rng(6)
        restored = [(case, datasets.crop_center(restore(case, rng), VIEW)) for case in cases]
        cosine = np.mean([case.truth @ self._embed(image) for case, image in restored])
        psnr = np.mean([cv2.PSNR(datasets.crop_center(case.sharp, VIEW), image) for case, image in restored])
        return f"{cosine:.3f} | {psnr:.2f}"

    def _embed(self, image: Image) -> Array:
        view = datasets.crop_center(image, VIEW)[None, :, :, ::-1].transpose(0, 3, 1, 2)
        embedding = self._session.run(np.ascontiguousarray(view, np.float32))[0][0]
        return np.asarray(embedding / np.linalg.norm(embedding), np.float32)


def line_motion(kernel: Array) -> NDArray[np.float64]:
    """Compute the motion of a line kernel."""
    variances, axes = np.linalg.eigh(kernels.covariance(kernel))
    return np.asarray(np.sqrt(12 * variances[1]) * axes[:, 1])


def perturb_line(kernel: Array, rng: np.random.Generator) -> Array:
    """Add a tracker's error to a line kernel."""
    x, y = line_motion(kernel) * np.exp(rng.normal(0, 0.06))
    across = rng.standard_normal() / np.hypot(x, y)
    return kernels.line(x - across * y, y + across * x)


def draw_line(length: float, rng: np.random.Generator) -> Array:
    angle = rng.uniform(0, np.pi)
    return kernels.line(length * np.cos(angle), length * np.sin(angle))


def deconvolve_perturbed(case: BlurredFace, rng: np.random.Generator, steps: int, smoothness: float) -> Image:
    return deconvolve(datasets.crop_center(case.blurred, 128), perturb_line(case.kernel, rng), steps, smoothness)


def deconvolve_true(case: BlurredFace, _: np.random.Generator, side: int) -> Image:
    return deconvolve(datasets.crop_center(case.blurred, side), case.kernel, 20)


def deconvolve_gaussian(
    case: BlurredFace, _: np.random.Generator, estimator: BlurEstimator, share: float, steps: int
) -> Image:
    return deconvolve(datasets.crop_center(case.blurred, 128), estimator.estimate(case.blurred).kernel(share), steps)


def motion_table(faces: list[Image], meter: SimilarityMeter) -> None:
    print("| length | restored with | cosine | PSNR dB |\n|---|---|---|---|")
    for length in LENGTHS:
        moved = meter.make_cases(faces, partial(draw_line, length))
        print(f"| {length} | nothing | {meter.of(moved, lambda case, _: case.blurred)} |")
        for side in (112, 128, 160):
            cell = meter.of(moved, partial(deconvolve_true, side=side))
            print(f"| {length} | true line, side {side}, 20 steps | {cell} |", flush=True)
        for steps, smoothness in product((10, 20, 30), (0.002, 0.004, 0.008)):
            cell = meter.of(moved, partial(deconvolve_perturbed, steps=steps, smoothness=smoothness))
            print(f"| {length} | perturbed line, {steps} steps, smoothness {smoothness} | {cell} |", flush=True)


def still_table(faces: list[Image], meter: SimilarityMeter) -> None:
    """Print the table without known motion: raw, or deconvolved with the Gaussian of the estimated extents."""
    estimator = BlurEstimator()
    print("\n| blur | restored with | cosine | PSNR dB |\n|---|---|---|---|")
    for name, draw in BLURS.items():
        blurred = meter.make_cases(faces, draw)
        print(f"| {name} | nothing | {meter.of(blurred, lambda case, _: case.blurred)} |")
        for share, steps in product((0.6, 0.8, 1.0), (6, 10)):
            cell = meter.of(blurred, partial(deconvolve_gaussian, estimator=estimator, share=share, steps=steps))
            print(f"| {name} | Gaussian, share {share}, {steps} steps | {cell} |", flush=True)


BLURS: dict[str, KernelSampler] = {
    "line9": partial(draw_line, 9),
    "line19": partial(draw_line, 19),
    "traj13": partial(kernels.trajectory, 13),
    "traj19": partial(kernels.trajectory, 19),
    "traj27": partial(kernels.trajectory, 27),
    "disk3": lambda _: kernels.disk(3),
    "disk6": lambda _: kernels.disk(6),
    "box5": lambda _: kernels.box(5),
}


def track_table(faces: list[Image], meter: SimilarityMeter, network: NetworkSession) -> None:
    """Print the table of the whole deblurring stage on crops of one camera with unknown shutter."""
    print(f"\n| length, shutter {SHUTTER} | by | cosine | PSNR dB |\n|---|---|---|---|")
    for length in (*LENGTHS, *LONGER):
        moved = meter.make_cases(faces, partial(draw_line, length))
        print(f"| {length} | nothing | {meter.of(moved, lambda case, _: case.blurred)} |")
        deblurrers: dict[str, Deblurrer] = {
            "seed preset": BoxKernelDeblurrer(),
            "Richardson-Lucy": RichardsonLucyDeblurrer(),
            "the network": CNN(network),
        }
        for name, deblurrer in deblurrers.items():
            print(
                f"| {length} | {name} | {meter.of(moved, partial(restore_tracked, deblurrer=deblurrer))} |", flush=True
            )


def restore_tracked(case: BlurredFace, rng: np.random.Generator, deblurrer: Deblurrer) -> Image:
    x, y = line_motion(case.kernel) / SHUTTER + rng.standard_normal(2)
    image, matrix = datasets.crop_center(case.blurred, 128), np.eye(2, 3, dtype=np.float32)
    crop = FaceCrop("simulated", 0, 0, 0.0, image, matrix, (float(x), float(y)), FaceQuality(1, 1, 1))
    return deblurrer.restore([crop])[0].image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--table", choices=TABLES, action="append", help="one of the tables; all if none is given")
    parser.add_argument("--network", type=Path, help="deblurs; without it the one that comes with unblur")
    parser.add_argument("--every", type=int, default=20, help="take every n-th face")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    photographs = datasets.read(arguments.data / "val/lfw160.tar", arguments.every)
    faces = [datasets.align_lfw(photograph, _CANVAS) for photograph in photographs]
    meter, tables = SimilarityMeter(fetch("sface")), arguments.table or TABLES
    if "track" in tables:
        track_table(faces, meter, selection.load(arguments.network or manifest.trained_network("deblur").path))
    if "motion" in tables:
        motion_table(faces, meter)
    if "still" in tables:
        still_table(faces, meter)


if __name__ == "__main__":
    main()
