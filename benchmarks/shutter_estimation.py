"""Accuracy of the shutter estimate from simulated fast faces, by number of crops, and its cost.

python -m benchmarks.shutter_estimation --data ../shared/data
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import datasets
from deblur import kernels
from deblur.shutter_estimation import Shutter
from stream.values import FaceCrop, FaceQuality, Image

CROPS = (1, 3, 10, 30)
SPEEDS = (10, 20, 30, 45)
_CAMERAS = 24
_JITTER = 1.0


def make_crop(
    face: Image, shutter: float, speed: float, rng: np.random.Generator, camera: str = "simulated"
) -> FaceCrop:
    """Make a crop of a face (224 x 224, aligned) that moved at `speed` pixels a frame in a random direction,
    compressed, with the tracker's velocity off by a normal error of one pixel a frame on each axis."""
    angle = rng.uniform(0, 2 * np.pi)
    motion = speed * np.array((np.cos(angle), np.sin(angle)))
    picture = kernels.add_sensor_noise(kernels.blur(face, kernels.line(*(shutter * motion))), 0.01, rng)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])
    picture = datasets.crop_center(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8), 128)
    velocity_x, velocity_y = motion + _JITTER * rng.standard_normal(2)
    identity = np.eye(2, 3, dtype=np.float32)
    return FaceCrop(camera, 0, 0, 0.0, picture, identity, (float(velocity_x), float(velocity_y)), FaceQuality(1, 1, 1))


def measure_errors(faces: list[Image], speed: tuple[float, float], rng: np.random.Generator) -> NDArray[np.float64]:
    """Measure the absolute error of the fraction for each camera (rows), after each number of `CROPS` (columns)."""
    rows = []
    for _ in range(_CAMERAS):
        shutter, learner, row = float(rng.uniform(0.2, 0.9)), Shutter(), []
        for number in range(1, CROPS[-1] + 1):
            learner.observe(make_crop(faces[rng.integers(len(faces))], shutter, rng.uniform(*speed), rng))
            if number in CROPS:
                row.append(abs(learner.fraction("simulated") - shutter))
        rows.append(row)
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    faces = [
        datasets.center_on_square(face, 224, datasets.LFW_SCALE)
        for face in datasets.read(arguments.data / "val/lfw160.tar")
    ]
    rng = np.random.default_rng(3)
    print("| speed, px a frame | " + " | ".join(f"after {number}: median, p90" for number in CROPS) + " |")
    print("|---" * (len(CROPS) + 1) + "|")
    for slow, fast in pairwise(SPEEDS):
        errors = measure_errors(faces, (slow, fast), rng)
        cells = [f"{np.median(column):.3f}, {np.percentile(column, 90):.3f}" for column in errors.T]
        print(f"| {slow}-{fast} | " + " | ".join(cells) + " |", flush=True)
    example, learner = make_crop(faces[0], 0.5, 30, rng), Shutter()
    started = time.perf_counter()
    for _ in range(50):
        learner.observe(example)
    print(f"\n{20 * (time.perf_counter() - started):.2f} ms for each crop")


if __name__ == "__main__":
    main()
