"""Fits the blur estimator's coefficients on `train` and tests them on `val`.

python -m benchmarks.blur_estimation --data ../shared/data        the table of docs/design/deblurring.md
python -m benchmarks.blur_estimation --data ../shared/data --fit  writes deblur/blur_estimator.npz (five minutes)
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor

from benchmarks import datasets
from deblur import blur_estimation, degradation, kernels
from stream.values import Array, Image

FAMILIES = ("none", "line", "trajectory", "gaussian", "disk", "box")
LONGEST = 37.0
_MARGIN = 40
_SAMPLES = 20_000


@dataclass(frozen=True)
class BlurSample:
    """A blurred crop, the factor that it was enlarged by, and its true kernel."""

    image: Image
    scale: float
    family: str
    kernel: Array


def draw_kernel(family: str, rng: np.random.Generator) -> Array:
    """Draw a kernel of the family; its extent is uniformly distributed up to `LONGEST` pixels."""
    extent, angle = rng.uniform(0.5, LONGEST), rng.uniform(0, np.pi)
    match family:
        case "none":
            return kernels.box(1)
        case "line":
            return kernels.line(extent * np.cos(angle), extent * np.sin(angle))
        case "trajectory":
            return kernels.trajectory(max(1.5, 1.25 * extent), rng)
        case "gaussian":
            return kernels.gaussian(extent / np.sqrt(12))
        case "disk":
            return kernels.disk(extent / np.sqrt(3))
    return kernels.box(2 * int(extent / 2) + 1)


def draw(
    face: Image, family: str, scale: float, noise: float, rng: np.random.Generator, *, coded: bool = False
) -> BlurSample:
    """Blur a face (208 x 208, aligned), record it at 1 / `scale` of its size, and enlarge it again to a crop."""
    kernel = draw_kernel(family, rng)
    side = round(face.shape[0] / scale)
    light = np.asarray(cv2.resize(kernels.blur(face, kernel), (side, side), interpolation=cv2.INTER_AREA), np.float32)
    frame = kernels.add_sensor_noise(light, noise, rng)
    if coded:
        frame = degradation.jpeg(frame, int(rng.integers(30, 96)))
    crop = cv2.resize(frame, face.shape[:2], interpolation=cv2.INTER_LINEAR)
    return BlurSample(datasets.crop_center(np.asarray(crop, np.uint8), blur_estimation.SIDE), scale, family, kernel)


def training_samples(data: Path, rng: np.random.Generator) -> Iterator[BlurSample]:
    """Yield training samples: faces of about the aligner's size, half of them enlarged up to four times."""
    faces = [(face, datasets.LFW_SCALE) for face in datasets.read(data / "train/lfw160-0.tar")]
    faces += [(face, datasets.FFHQ_SCALE) for face in datasets.read(data / "train/ffhq192.tar")]
    for _ in range(_SAMPLES):
        face, size = faces[rng.integers(len(faces))]
        aligned = datasets.center_on_square(
            face, blur_estimation.SIDE + 2 * _MARGIN, size * rng.uniform(0.85, 1.4), 5 * rng.normal()
        )
        aligned = aligned[:, ::-1] if rng.random() < 0.5 else aligned
        scale = float(np.exp(rng.uniform(0, np.log(4)))) if rng.random() < 0.5 else 1.0
        noise = float(rng.choice((0, 0.005, 0.01, 0.02)))
        yield draw(aligned, str(rng.choice(FAMILIES)), scale, noise, rng, coded=rng.random() < 0.4)


def typical_spectrum(data: Path) -> Array:
    """Compute the mean power spectrum of sharp aligned faces, each normalized to mean 1."""
    powers = []
    for face in datasets.read(data / "train/lfw160-0.tar", every=8):
        power = blur_estimation.power(datasets.center_on_square(face, blur_estimation.SIDE, datasets.LFW_SCALE))
        powers.append(power / power.mean())
    return np.asarray(np.mean(powers, 0), np.float32)


def fit(data: Path) -> None:
    """Fit the coefficients and save them; print the R2."""
    rng = np.random.default_rng(1)
    samples = [
        (blur_estimation.features(s.image, s.scale), blur_estimation.encode_covariance(s.kernel))
        for s in training_samples(data, rng)
    ]
    inputs, targets = (np.stack(part) for part in zip(*samples, strict=True))
    mean, deviation = inputs.mean(0), inputs.std(0)
    network = MLPRegressor(
        hidden_layer_sizes=(32,), alpha=1e-3, learning_rate_init=2e-3, early_stopping=True, random_state=0
    ).fit((inputs - mean) / deviation, targets)
    linear = Ridge().fit((inputs - mean) / deviation, targets)
    print(f"R2 of the network {network.score((inputs - mean) / deviation, targets):.3f}", end=", ")
    print(f"of a linear fit {linear.score((inputs - mean) / deviation, targets):.3f}")
    layers = {f"weight{i}": weight.astype(np.float32) for i, weight in enumerate(network.coefs_)}
    layers |= {f"bias{i}": bias.astype(np.float32) for i, bias in enumerate(network.intercepts_)}
    np.savez(blur_estimation.COEFFICIENTS, mean=mean, deviation=deviation, spectrum=typical_spectrum(data), **layers)


def evaluate(data: Path) -> None:
    """Print the table of the estimator's errors on `val`."""
    print("| faces | scale | rank correlation, extent | support side | mean error px | none: median, p95 px | ms |")
    print("|---|---|---|---|---|---|---|")
    for name, size, scale in (
        ("as they are", 1.0, 1),
        ("aligned", datasets.LFW_SCALE, 1),
        ("aligned", datasets.LFW_SCALE, 2),
        ("aligned", datasets.LFW_SCALE, 3),
    ):
        print(f"| {name} | {scale} | {_row(data, size, scale)} |", flush=True)


def _row(data: Path, size: float, scale: float) -> str:
    rng, estimator = np.random.default_rng(2), blur_estimation.BlurEstimator()
    faces = datasets.read(data / "val/lfw160.tar")
    samples = [
        draw(
            datasets.center_on_square(face, blur_estimation.SIDE + 2 * _MARGIN, size), FAMILIES[i % 6], scale, 0.01, rng
        )
        for i, face in enumerate(faces)
    ]
    started = time.perf_counter()
    estimated = np.array([estimator.estimate(sample.image, sample.scale).extent for sample in samples])
    elapsed = (time.perf_counter() - started) / len(samples)
    true = np.array([kernels.extent(sample.kernel) for sample in samples])
    side = np.array([sample.kernel.shape[0] for sample in samples])
    sharp = estimated[[sample.family == "none" for sample in samples]]
    by_extent, by_side = (spearmanr(estimated, truth).statistic for truth in (true, side))
    return (
        f"{by_extent:.3f} | {by_side:.3f} | {np.abs(estimated - true).mean():.1f} | "
        f"{np.median(sharp):.1f}, {np.percentile(sharp, 95):.1f} | {1e3 * elapsed:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.fit:
        fit(arguments.data)
    evaluate(arguments.data)


if __name__ == "__main__":
    main()
