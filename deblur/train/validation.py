"""Validation on faces outside the training set: the same blurred crops every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from deblur import conditioning, kernels
from deblur.train.augmentation import CANVAS, SIDE, Photo, jitter
from deblur.train.dataset import Batch, center_crop, stack_samples
from deblur.train.kernel_head import SUPPORT, kernel_softmax
from deblur.train.losses import Embedder, IdentityLoss
from deblur.train.trainer import mixed_precision, to_tensor
from deblur.train.two_pass import redeconvolve
from stream.values import Array, Image

DrawKernel = Callable[[np.random.Generator], tuple[Array, tuple[float, float] | None]]
_NOISE = 0.01
_BATCH = 32


def _shake(extent: float, rng: np.random.Generator) -> tuple[Array, None]:
    return kernels.trajectory(extent, rng), None


def _line(length: float, rng: np.random.Generator) -> tuple[Array, tuple[float, float]]:
    along = length * np.exp(2j * np.pi * rng.uniform())
    measured = along * rng.uniform(0.8, 1.2)
    return kernels.line(along.real, along.imag), (float(measured.real), float(measured.imag))


CONDITIONS: dict[str, DrawKernel] = {
    "none": lambda _: (kernels.box(1), None),
    **{f"traj{size}": partial(_shake, size) for size in (10, 14, 20, 28)},
    **{f"line{size}": partial(_line, size) for size in (14, 20, 28)},
}
"""Lengths are in crop pixels; an LFW photo is 1.3 times as large as its crop."""


class Validation:
    """Restores fixed crops and compares them with the sharp ones.

    Figures per condition: the gain in dB over the blurred crop and, with an embedder, the likeness (cosine between
    restored and sharp). For a network that estimates kernels they are of the second pass; those of the first are added
    (`first-`), and the overlap of estimated and true kernels (`cause`). `score` is the mean likeness over all blurred
    conditions, or without an embedder the mean gain.
    """

    def __init__(self, photos: Sequence[Photo], embedder: Embedder | None, seed: int = 5, others: int = 0) -> None:
        """`others` is the number of neighbor crops that the network takes."""
        rng, neighbor_rng = np.random.default_rng(seed), np.random.default_rng([seed, others])
        self._batches = {
            name: stack_samples([_sample(photo, draw, rng, neighbor_rng, others) for photo in photos])
            for name, draw in CONDITIONS.items()
        }
        self._identity = IdentityLoss(embedder) if embedder is not None else None

    def __call__(self, net: nn.Module, device: torch.device) -> dict[str, float]:
        figures: dict[str, float] = {}
        for name, batch in self._batches.items():
            figures |= {f"{kind}/{name}": value for kind, value in self._score(net, batch, device).items()}
        kind = "likeness" if self._identity else "gain"
        figures["score"] = float(np.mean([figures[f"{kind}/{name}"] for name in CONDITIONS if name != "none"]))
        return figures

    @torch.no_grad()
    def _score(self, net: nn.Module, batch: Batch, device: torch.device) -> dict[str, float]:
        figures: dict[str, float] = {}
        restored, estimated = _restore(net, batch, device)
        if estimated is not None:
            figures = {f"first-{kind}": value for kind, value in self._compare(restored, batch, device).items()}
            figures["cause"] = _overlap(estimated, batch.kernels)
            restored, _ = _restore(net, redeconvolve(batch, estimated), device)
        return figures | self._compare(restored, batch, device)

    def _compare(self, restored: Tensor, batch: Batch, device: torch.device) -> dict[str, float]:
        crops, sharp = (to_tensor(each, device) for each in (batch.crops, batch.sharp))
        gain = 10 * torch.log10(_error(crops, sharp) / _error(restored, sharp))
        if self._identity is None:
            return {"gain": float(gain.mean())}
        upright, identity = (torch.as_tensor(each).to(device) for each in (batch.upright, batch.identity))
        with mixed_precision(device):
            likeness = [
                self._identity.likeness(*part)
                for part in zip(*(each.split(_BATCH) for each in (restored, identity, upright)), strict=True)
            ]
        return {"gain": float(gain.mean()), "likeness": float(torch.cat(likeness).mean())}


def _restore(net: nn.Module, batch: Batch, device: torch.device) -> tuple[Tensor, Array | None]:
    """Run one pass: restored crops (N x 3 x H x W in 0..1), and the estimated kernels, if the network gives any."""
    restored, estimated = [], []
    for start in range(0, len(batch.crops), _BATCH):
        part = slice(start, start + _BATCH)
        crops, hints = (to_tensor(each[part], device) for each in (batch.crops, batch.hints))
        with mixed_precision(device):
            others = [to_tensor(batch.others[part], device)] if batch.others.shape[-1] else []
            image, kernels = net(crops, hints, torch.as_tensor(batch.motion[part]).to(device), *others)
        restored.append(image.float().clamp(0, 1))
        if kernels is not None:
            estimated.append(kernel_softmax(kernels).cpu().numpy())
    return torch.cat(restored), np.concatenate(estimated) if estimated else None


def _overlap(estimated: Array, true: Array) -> float:
    """Compute the shared weight of both kernels, smoothed by one pixel: 1 for equal kernels."""
    soft = [np.stack([cv2.GaussianBlur(kernel, (0, 0), 1) for kernel in each]) for each in (estimated, true)]
    return float(np.minimum(*soft).sum((1, 2)).mean())


def _error(one: Tensor, other: Tensor) -> Tensor:
    return ((one - other) ** 2).mean((1, 2, 3)).clamp_min(1e-6)


def _sample(
    photo: Photo, draw: DrawKernel, rng: np.random.Generator, neighbor_rng: np.random.Generator, others: int
) -> Batch:
    margin = (CANVAS - SIDE) // 2
    matrix = photo.matrix + np.array([[0, 0, margin], [0, 0, margin]], np.float32)
    canvas = cv2.warpAffine(
        photo.image, matrix, (CANVAS, CANVAS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    kernel, motion = draw(rng)
    crop = kernels.add_sensor_noise(center_crop(kernels.blur(np.asarray(canvas, np.uint8), kernel)), _NOISE, rng)
    sharp, upright = np.asarray(center_crop(canvas), np.uint8), np.eye(2, 3, dtype=np.float32)
    neighbors = [_neighbor(np.asarray(canvas, np.uint8), kernel, motion, draw, neighbor_rng) for _ in range(others)]
    return Batch(
        crop,
        conditioning.deconvolve_motion(crop, motion),
        conditioning.encode_motion(motion),
        np.concatenate([crop[..., :0], *neighbors], 2),
        sharp,
        kernels.resize_support(kernel, SUPPORT),
        upright,
        photo.identity,
    )


def _neighbor(
    canvas: Image, kernel: Array, motion: tuple[float, float] | None, draw: DrawKernel, rng: np.random.Generator
) -> Image:
    """Simulate a neighbor crop: camera shake is independent, a motion continues."""
    neighbor_kernel = draw(rng)[0] if motion is None else kernel
    return kernels.add_sensor_noise(center_crop(kernels.blur(jitter(canvas, rng), neighbor_kernel)), _NOISE, rng)
