"""Training losses between restored and sharp faces."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

Embedder: TypeAlias = nn.Module
"""N x 3 x 112 x 112 RGB in 0..255 to N x D embeddings; its weights are frozen."""
VIEW = 112
_MARGIN = 8
"""Pixels from the aligned 128 px crop's edge to the embedder's view."""
_EPSILON = 1e-3

REGIONS = (
    (46.3, 59.6, 15),
    (81.5, 59.5, 15),
    (64.0, 79.7, 13),
    (49.5, 100.4, 12),
    (64.0, 102.0, 14),
    (78.7, 100.2, 12),
)
"""Center and radius of eyes, nose and mouth in the aligned 128 px crop: the aligner's template."""


def charbonnier(restored: Tensor, sharp: Tensor) -> Tensor:
    """Compute the L1 distance, smooth at zero: Charbonnier et al., ICIP 1994."""
    return torch.sqrt((restored - sharp) ** 2 + _EPSILON**2).mean()


def spectral(restored: Tensor, sharp: Tensor) -> Tensor:
    """Compute the L1 distance of the Fourier transforms, as in MIMO-UNet (Cho et al., ICCV 2021), orthonormal."""
    difference = torch.fft.rfft2(restored - sharp, norm="ortho")
    return difference.abs().mean()


def regional(restored: Tensor, sharp: Tensor, upright: Tensor) -> Tensor:
    """Compute the L1 distance of gradients and values inside eyes, nose and mouth: the local structure loss of Shen et
    al. (CVPR 2018), with the regions of the five points instead of a parser's."""
    mask = region_mask(upright, restored.shape[-1])
    down, across = _gradients(restored - sharp)
    inner = mask[..., 1:, 1:]
    total = ((restored - sharp).abs() * mask).sum() + ((down.abs() + across.abs()) * inner).sum()
    return total / (mask.sum() * restored.shape[1]).clamp_min(1)


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    current = images[..., 1:, 1:]
    return current - images[..., :-1, 1:], current - images[..., 1:, :-1]


def region_mask(upright: Tensor, side: int) -> Tensor:
    """Return N x 1 x side x side: 1 inside the regions; `upright` (N x 2 x 3) leads from each crop to the aligned
    one."""
    axis = torch.arange(side, dtype=upright.dtype, device=upright.device)
    positions = torch.stack(
        [axis.expand(side, side), axis[:, None].expand(side, side), torch.ones_like(axis.expand(side, side))]
    )
    aligned = torch.einsum("nij,jyx->niyx", upright, positions)
    inside = [(aligned[:, 0] - x) ** 2 + (aligned[:, 1] - y) ** 2 < radius**2 for x, y, radius in REGIONS]
    return torch.stack(inside).any(0)[:, None].to(upright.dtype)


def kernel_cross_entropy(logits: Tensor, kernels: Tensor) -> Tensor:
    """Compute the cross entropy of the estimated kernels (N x H x W logits) against the true ones."""
    return functional.cross_entropy(logits.flatten(1), kernels.flatten(1))


class IdentityLoss:
    """Identity loss: one minus the cosine between the embeddings of the aligned restored face and of the true one."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def __call__(self, restored: Tensor, identity: Tensor, upright: Tensor) -> Tensor:
        return 1 - self.likeness(restored, identity, upright).mean()

    def likeness(self, restored: Tensor, identity: Tensor, upright: Tensor) -> Tensor:
        """Compute N cosines, of N x 3 x H x W crops in 0..1 and N x D embeddings."""
        views = functional.grid_sample(
            restored, grid(upright, restored.shape[-1]), padding_mode="border", align_corners=True
        )
        return functional.cosine_similarity(self._embedder(255 * views.flip(1)).float(), identity)


def grid(upright: Tensor, side: int) -> Tensor:
    """Return the sampling grid of the embedder's aligned view in crops of `side` pixels (N x 112 x 112 x 2, -1..1)."""
    turn, shift = upright[:, :, :2], upright[:, :, 2]
    back = torch.linalg.inv(turn)
    axis = torch.arange(VIEW, dtype=upright.dtype, device=upright.device) + _MARGIN
    positions = torch.stack([axis.expand(VIEW, VIEW), axis[:, None].expand(VIEW, VIEW)])
    sources = torch.einsum("nij,jyx->niyx", back, positions) - torch.einsum("nij,nj->ni", back, shift)[:, :, None, None]
    return (2 * sources / (side - 1) - 1).permute(0, 2, 3, 1)
