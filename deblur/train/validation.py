"""How good a network is, on faces that it is not trained on: the same blurred crops at every validation."""

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
from deblur.train.losses import Embedder, Identity
from deblur.train.trainer import mixed_precision, to_tensor
from deblur.train.two_pass import redeconvolve
from stream.values import Array, Image

Draw = Callable[[np.random.Generator], tuple[Array, tuple[float, float] | None]]
_NOISE = 0.01
_AT_ONCE = 32


def _shake(extent: float, rng: np.random.Generator) -> tuple[Array, None]:
    return kernels.trajectory(extent, rng), None


def _line(length: float, rng: np.random.Generator) -> tuple[Array, tuple[float, float]]:
    along = length * np.exp(2j * np.pi * rng.uniform())
    told = along * rng.uniform(0.8, 1.2)
    return kernels.line(along.real, along.imag), (float(told.real), float(told.imag))


CONDITIONS: dict[str, Draw] = {
    "none": lambda _: (kernels.box(1), None),
    **{f"traj{size}": partial(_shake, size) for size in (10, 14, 20, 28)},
    **{f"line{size}": partial(_line, size) for size in (14, 20, 28)},
}
"""Lengths are in crop pixels; an LFW photo is 1.3 times as large as its crop."""


class Validation:
    """Restores fixed crops and compares. Figures: per condition the gain in dB over the blurred crop and, with an
    embedder, the likeness (cosine between restored and sharp), after the second look if the network tells kernels (then
    also after the first, and the light that told and true kernels share, `cause`); `score` is the mean likeness over
    all that is blurred, or without an embedder the mean gain."""

    def __init__(self, photos: Sequence[Photo], embedder: Embedder | None, seed: int = 5, others: int = 0) -> None:
        """`others` is at how many crops the network looks beside the one that it restores."""
        rng, aside = np.random.default_rng(seed), np.random.default_rng([seed, others])
        self._batches = {
            name: stack_samples([_sample(photo, draw, rng, aside, others) for photo in photos])
            for name, draw in CONDITIONS.items()
        }
        self._identity = Identity(embedder) if embedder is not None else None

    def __call__(self, net: nn.Module, device: torch.device) -> dict[str, float]:
        figures: dict[str, float] = {}
        for name, batch in self._batches.items():
            figures |= {f"{kind}/{name}": value for kind, value in self._judged(net, batch, device).items()}
        kind = "likeness" if self._identity else "gain"
        figures["score"] = float(np.mean([figures[f"{kind}/{name}"] for name in CONDITIONS if name != "none"]))
        return figures

    @torch.no_grad()
    def _judged(self, net: nn.Module, batch: Batch, device: torch.device) -> dict[str, float]:
        figures: dict[str, float] = {}
        restored, told = _looked(net, batch, device)
        if told is not None:
            figures = {f"first-{kind}": value for kind, value in self._compared(restored, batch, device).items()}
            figures["cause"] = _overlap(told, batch.kernels)
            restored, _ = _looked(net, redeconvolve(batch, told), device)
        return figures | self._compared(restored, batch, device)

    def _compared(self, restored: Tensor, batch: Batch, device: torch.device) -> dict[str, float]:
        crops, sharp = (to_tensor(each, device) for each in (batch.crops, batch.sharp))
        gain = 10 * torch.log10(_error(crops, sharp) / _error(restored, sharp))
        if self._identity is None:
            return {"gain": float(gain.mean())}
        upright, identity = (torch.as_tensor(each).to(device) for each in (batch.upright, batch.identity))
        with mixed_precision(device):
            likeness = [
                self._identity.likeness(*part)
                for part in zip(*(each.split(_AT_ONCE) for each in (restored, identity, upright)), strict=True)
            ]
        return {"gain": float(gain.mean()), "likeness": float(torch.cat(likeness).mean())}


def _looked(net: nn.Module, batch: Batch, device: torch.device) -> tuple[Tensor, Array | None]:
    """Restored crops (N x 3 x H x W in 0..1), and the kernels that the network tells, if it tells any."""
    restored, told = [], []
    for start in range(0, len(batch.crops), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        crops, hints = (to_tensor(each[part], device) for each in (batch.crops, batch.hints))
        with mixed_precision(device):
            others = [to_tensor(batch.others[part], device)] if batch.others.shape[-1] else []
            image, kernels = net(crops, hints, torch.as_tensor(batch.motion[part]).to(device), *others)
        restored.append(image.float().clamp(0, 1))
        if kernels is not None:
            told.append(kernel_softmax(kernels).cpu().numpy())
    return torch.cat(restored), np.concatenate(told) if told else None


def _overlap(told: Array, true: Array) -> float:
    """The light that both kernels have on the same pixels, give or take one: 1 for the same kernel."""
    soft = [np.stack([cv2.GaussianBlur(kernel, (0, 0), 1) for kernel in each]) for each in (told, true)]
    return float(np.minimum(*soft).sum((1, 2)).mean())


def _error(one: Tensor, other: Tensor) -> Tensor:
    return ((one - other) ** 2).mean((1, 2, 3)).clamp_min(1e-6)


def _sample(photo: Photo, draw: Draw, rng: np.random.Generator, aside: np.random.Generator, others: int) -> Batch:
    margin = (CANVAS - SIDE) // 2
    matrix = photo.matrix + np.array([[0, 0, margin], [0, 0, margin]], np.float32)
    canvas = cv2.warpAffine(
        photo.image, matrix, (CANVAS, CANVAS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    kernel, motion = draw(rng)
    crop = kernels.add_sensor_noise(center_crop(kernels.blur(np.asarray(canvas, np.uint8), kernel)), _NOISE, rng)
    sharp, upright = np.asarray(center_crop(canvas), np.uint8), np.eye(2, 3, dtype=np.float32)
    near = [_other(np.asarray(canvas, np.uint8), kernel, motion, draw, aside) for _ in range(others)]
    return Batch(
        crop,
        conditioning.deconvolve_motion(crop, motion),
        conditioning.encode_motion(motion),
        np.concatenate([crop[..., :0], *near], 2),
        sharp,
        kernels.resize_support(kernel, SUPPORT),
        upright,
        photo.identity,
    )


def _other(
    canvas: Image, kernel: Array, motion: tuple[float, float] | None, draw: Draw, rng: np.random.Generator
) -> Image:
    """Another picture of the track: a hand shakes anew, a face that moves goes on."""
    again = draw(rng)[0] if motion is None else kernel
    return kernels.add_sensor_noise(center_crop(kernels.blur(jitter(canvas, rng), again)), _NOISE, rng)
