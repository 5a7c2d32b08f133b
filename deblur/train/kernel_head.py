"""Kernel head: the part of the network that estimates the blur kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from deblur.train.residual import Residual

REACH = 24
"""Pixels from the middle of a kernel to its edge."""
SUPPORT = 2 * REACH + 1
_LEAST = 1e-6


class KernelHead(nn.Module):
    """Estimates the kernel that blurred a crop, as logits: log values up to a constant.

    Features of the network represent the sharp image, filtered crops the blurred one; the kernel that leads from one
    to the other is estimated by least squares in the Fourier domain, for several such pairs, and refined by
    convolutions: after Schuler et al., "Learning to Deblur" (IEEE TPAMI 2016). The transforms are matrix products,
    which every backend can run.
    """

    def __init__(self, width: int, unshuffle: int, pairs: int = 4, each: int = 3, refining: int = 48) -> None:
        super().__init__()
        self.unshuffle, self.each, self.reach = unshuffle, each, REACH // unshuffle
        self.sharp = nn.Conv2d(width, pairs * each, 3, padding=1)
        self.seen = nn.Conv2d(3 * unshuffle**2, pairs * each, 3, padding=1, bias=False)
        self.caution = nn.Parameter(torch.full((pairs, 1, 1), -2.0))
        self.refine = nn.Sequential(
            nn.Conv2d(2 * pairs, refining, 3, padding=1), *(Residual(refining) for _ in range(3))
        )
        self.spread = nn.Conv2d(refining, 16 * unshuffle**2, 3, padding=1)
        self.last = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, features: Tensor, packed: Tensor) -> Tensor:
        """Map N x width x h x w and N x 3 unshuffle^2 x h x w to N x 49 x 49."""
        estimates = self._least_squares(self.sharp(features).float(), packed.float())
        spread = functional.pixel_shuffle(self.spread(self.refine(estimates)), self.unshuffle)
        return self.last(functional.relu(spread))[:, 0, :SUPPORT, :SUPPORT].float()

    def _least_squares(self, sharp: Tensor, packed: Tensor) -> Tensor:
        """Compute least-squares kernels, and autocorrelations of the blurred features: N x 2 pairs x lags x lags."""
        with torch.autocast(sharp.device.type, enabled=False):
            blurred = self.seen(packed - packed.mean((2, 3), keepdim=True))
            window = _window(int(sharp.shape[-1])).to(sharp)
            (a, b), (c, d) = (fourier(each * window, self.reach) for each in (sharp + blurred, blurred))
            power, autocorrelation = self._sum_features(a * a + b * b), self._sum_features(c * c + d * d)
            floor = self.caution.exp() * power.mean((2, 3), keepdim=True) + _LEAST
            real, imaginary = (self._sum_features(each) / (power + floor) for each in (a * c + b * d, a * d - b * c))
            autocorrelation = autocorrelation / (autocorrelation.mean((2, 3), keepdim=True) + _LEAST)
            return 10 * lags(
                torch.cat([real, autocorrelation], 1), torch.cat([imaginary, 0 * autocorrelation], 1), self.reach
            )

    def _sum_features(self, planes: Tensor) -> Tensor:
        """Sum over the features of each pair."""
        return torch.stack([planes[:, number :: self.each] for number in range(self.each)]).sum(0)


def _window(side: int) -> Tensor:
    """Return a window of 1 that fades to 0 over the outer fifth, so that the border is no edge."""
    bell = torch.sin(math.pi * torch.arange(1, side + 1) / (side + 1)) ** 2
    fade = (3 * bell).clamp_max(1)
    return fade[:, None] * fade


def _waves(times: Tensor, period: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of every frequency at these times, times x frequencies."""
    angles = 2 * math.pi / period * times[:, None] * torch.arange(period)
    return angles.cos().to(like), angles.sin().to(like)


def fourier(images: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Compute the real and imaginary part of the transform (half of it, as rfft2) of square images (... x s x s),
    padded with zeros, so that lags of up to `reach` do not wrap around; divided by s."""
    side = int(images.shape[-1])
    period = side + 2 * reach + 2
    cos, sin = _waves(torch.arange(side), period, images)
    half = period // 2 + 1
    across, minus = images @ cos[:, :half] / side, images @ sin[:, :half] / side
    down, turned = cos.T, sin.T
    return down @ across - turned @ minus, -(down @ minus) - turned @ across


def lags(real: Tensor, imaginary: Tensor, reach: int) -> Tensor:
    """Invert the transform at lags -reach..reach: ... x (2 reach + 1) x (2 reach + 1)."""
    period, half = int(real.shape[-2]), int(real.shape[-1])
    cos, sin = _waves(torch.arange(-reach, reach + 1), period, real)
    a, b = cos @ real - sin @ imaginary, cos @ imaginary + sin @ real
    twice = torch.tensor([1.0, *[2.0] * (half - 2), 1.0]).to(real)
    across, minus = (cos[:, :half] * twice).T, (sin[:, :half] * twice).T
    return (a @ across - b @ minus) / period**2


def kernel_softmax(kernels: Tensor) -> Tensor:
    """Turn logits into kernels: N x 49 x 49, each with sum 1."""
    return kernels.flatten(1).softmax(1).reshape(-1, SUPPORT, SUPPORT)
