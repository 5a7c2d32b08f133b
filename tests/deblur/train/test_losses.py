from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deblur.train.losses import (
    VIEW,
    IdentityLoss,
    charbonnier,
    grid,
    kernel_cross_entropy,
    region_mask,
    regional,
    spectral,
)
from detectors.alignment import SIDE, TEMPLATE

UPRIGHT = torch.eye(2, 3)[None]


class Center(nn.Module):
    """A fake embedder that returns its input, so that tests can examine it."""

    def forward(self, views: Tensor) -> Tensor:
        return views.flatten(1)


def _noise(seed: int) -> Tensor:
    return torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(seed))


def test_equal_pictures_cost_nothing() -> None:
    same = _noise(0)
    assert charbonnier(same, same).item() == pytest.approx(1e-3)
    assert spectral(same, same).item() == 0
    assert regional(same, same, UPRIGHT.expand(2, 2, 3)).item() == 0


def test_charbonnier_is_the_mean_distance_where_that_is_large() -> None:
    assert charbonnier(torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)).item() == pytest.approx(1, abs=1e-4)


def test_the_transform_keeps_the_scale() -> None:
    """A wave of amplitude 1 on N x N pixels has one coefficient of N / 2 in the half plane, orthonormal."""
    wave = torch.cos(2 * torch.pi * 8 * torch.arange(64) / 64).expand(1, 1, 64, 64)
    assert spectral(wave, torch.zeros_like(wave)).item() == pytest.approx(32 / (64 * 33), rel=1e-4)


def test_regions_lie_on_the_aligners_template() -> None:
    mask = region_mask(UPRIGHT, SIDE)[0, 0]
    for x, y in np.rint(TEMPLATE + (SIDE - 112) / 2).astype(int):
        assert mask[y, x] == 1
    assert mask[5, 5] == 0
    assert 0.1 < mask.mean() < 0.3


def test_regions_follow_a_moved_crop() -> None:
    moved = UPRIGHT.clone()
    moved[0, :, 2] = torch.tensor([10.0, -4.0])
    here, there = region_mask(UPRIGHT, SIDE)[0, 0], region_mask(moved, SIDE)[0, 0]
    torch.testing.assert_close(there[20:100, 10:90], here[16:96, 20:100])


def test_only_what_lies_inside_the_regions_counts() -> None:
    sharp, wrong = torch.zeros(1, 3, 128, 128), torch.zeros(1, 3, 128, 128)
    wrong[..., :20, :20] = 1
    assert regional(wrong, sharp, UPRIGHT).item() == 0
    wrong[..., 50:60, 40:50] = 1
    assert regional(wrong, sharp, UPRIGHT).item() > 0.02


def test_the_embedder_sees_the_middle_of_an_upright_crop() -> None:
    crop = _noise(1)[:1]
    seen = nn.functional.grid_sample(crop, grid(UPRIGHT, 128), align_corners=True)
    torch.testing.assert_close(seen, crop[..., 8:120, 8:120], atol=1e-4, rtol=1e-4)
    assert seen.shape[-1] == VIEW


def test_a_turned_crop_is_brought_upright() -> None:
    crop = _noise(2)[:1]
    half_turn = torch.tensor([[[-1.0, 0, 127], [0, -1, 127]]])
    seen = nn.functional.grid_sample(crop.flip(2, 3), grid(half_turn, 128), align_corners=True)
    torch.testing.assert_close(seen, crop[..., 8:120, 8:120], atol=1e-4, rtol=1e-4)


def test_identity_is_one_minus_the_cosine() -> None:
    crops = _noise(3)
    upright = UPRIGHT.expand(2, 2, 3)
    truth = 255 * crops.flip(1)[..., 8:120, 8:120].flatten(1)
    identity = IdentityLoss(Center())
    assert identity(crops, truth, upright).item() == pytest.approx(0, abs=1e-4)
    assert identity(crops, -truth, upright).item() == pytest.approx(2, abs=1e-4)


def test_the_true_kernel_has_the_lowest_loss() -> None:
    """The minimum of the cross entropy is the entropy of the true kernel."""
    true = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(0))
    true = true / true.sum((1, 2), keepdim=True)
    entropy = -(true * true.log()).sum((1, 2)).mean()
    torch.testing.assert_close(kernel_cross_entropy(true.log() + 3, true), entropy)
    assert kernel_cross_entropy(torch.zeros(2, 5, 5), true) > entropy + 0.01
