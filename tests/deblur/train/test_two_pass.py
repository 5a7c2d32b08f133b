from __future__ import annotations

import itertools

import numpy as np

from deblur import conditioning, kernels
from deblur.train.augmentation import Photo
from deblur.train.dataset import Batch, Synthesis
from deblur.train.two_pass import TwoPassLoader, redeconvolve
from stream.values import Array


def _batches(photos: list[Photo], count: int) -> list[Batch]:
    return list(itertools.islice(Synthesis(photos, 2, 64, 12, (0,)), count))


def _kernels(length: float) -> Array:
    return np.stack([kernels.resize_support(kernels.line(length, 0), 49)] * 2)


def test_the_second_pass_has_the_deconvolved_crop(photos: list[Photo]) -> None:
    (batch,) = _batches(photos, 1)
    again, estimated = redeconvolve(batch, _kernels(9)), _kernels(9)
    for crop, kernel, shown in zip(batch.crops, estimated, again.hints, strict=True):
        np.testing.assert_array_equal(shown, conditioning.deconvolve_with_kernel(crop, kernel))
    assert again.crops is batch.crops
    assert again.motion is batch.motion


def test_each_batch_is_handed_out_twice_in_order(photos: list[Photo]) -> None:
    batches, seen = _batches(photos, 4), []
    loader = TwoPassLoader(batches)
    for batch in loader:
        fresh = any(batch is each for each in batches)
        seen.append((fresh, next(n for n, each in enumerate(batches) if np.array_equal(each.crops, batch.crops))))
        loader.submit_kernels(_kernels(9))
    assert [number for fresh, number in seen if fresh] == [0, 1, 2, 3]
    assert [number for fresh, number in seen if not fresh] == [0, 1, 2]


def test_a_batch_without_kernels_has_one_pass(photos: list[Photo]) -> None:
    batches = _batches(photos, 3)
    assert [id(batch) for batch in TwoPassLoader(batches)] == [id(batch) for batch in batches]
