from __future__ import annotations

import pytest
import torch
from torch import Tensor

from deblur.train.kernel_head import REACH, SUPPORT, KernelHead, fourier, kernel_softmax, lags


def _noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("side", "reach"), [(64, 12), (48, 12), (16, 6)])
def test_the_matrices_make_the_fourier_transform(side: int, reach: int) -> None:
    pictures, period = _noise(2, 3, side, side), side + 2 * reach + 2
    real, imaginary = fourier(pictures, reach)
    expected = torch.fft.rfft2(pictures, s=(period, period)) / side
    torch.testing.assert_close(torch.complex(real, imaginary), expected, atol=1e-4, rtol=1e-4)

    back = torch.fft.irfft2(expected, s=(period, period)).roll((reach, reach), (2, 3))
    near = back[..., : 2 * reach + 1, : 2 * reach + 1]
    torch.testing.assert_close(lags(real, imaginary, reach), near, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("unshuffle", [1, 2, 4])
def test_it_estimates_a_kernel_for_every_crop(unshuffle: int) -> None:
    side = 128 // unshuffle
    logits = KernelHead(8, unshuffle)(_noise(3, 8, side, side), _noise(3, 3 * unshuffle**2, side, side))
    assert logits.shape == (3, SUPPORT, SUPPORT)
    kernels = kernel_softmax(logits)
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(3))
    assert (kernels > 0).all()


def test_it_learns_how_far_noise_was_moved() -> None:
    """The kernel is one pixel: the shift between features and crop."""
    torch.manual_seed(0)
    cause = KernelHead(48, 4, pairs=2, each=1, refining=8)
    optimizer = torch.optim.Adam(cause.parameters(), 1e-2)
    right = 0
    for step in range(150):
        sharp, moves = torch.randn(8, 48, 16, 16), torch.randint(-3, 4, (8, 2))
        seen = torch.stack([each.roll(tuple(move.tolist()), (1, 2)) for each, move in zip(sharp, moves, strict=True)])
        logits = cause(sharp, seen).flatten(1)
        place = (4 * moves[:, 0] + REACH) * SUPPORT + 4 * moves[:, 1] + REACH
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, place).backward()
        optimizer.step()
        right += int((logits.argmax(1) == place).sum()) if step >= 130 else 0
    assert right > 0.8 * 160
