"""Milliseconds for ten steps of Richardson-Lucy on a 128 x 128 RGB crop, on one core.

taskset -c 0 python -m benchmarks.richardson_lucy
"""

from __future__ import annotations

import time

import cv2
import numpy as np

from deblur import kernels
from deblur.richardson_lucy import deconvolve
from stream.values import Array, Image


def measure_ms(image: Image, kernel: Array, repeats: int = 60) -> tuple[float, float]:
    """Measure minimum and median of the time, in milliseconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        deconvolve(image, kernel, iterations=10)
        times.append(1e3 * (time.perf_counter() - started))
    return min(times), float(np.median(times))


def main() -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (128, 128, 3), np.uint8)
    print("| kernel | side | min ms | median ms |\n|---|---|---|---|")
    for name, kernel in {
        "box 5": kernels.box(5),
        "line 9": kernels.line(9, 0),
        "line 18": kernels.line(18, 0),
        "line 18, slanted": kernels.line(13, 13),
        "trajectory 19": kernels.trajectory(19, rng),
        "trajectory 37": kernels.trajectory(37, rng),
    }.items():
        least, median = measure_ms(image, kernel)
        print(f"| {name} | {kernel.shape[0]} | {least:.1f} | {median:.1f} |", flush=True)


if __name__ == "__main__":
    main()
