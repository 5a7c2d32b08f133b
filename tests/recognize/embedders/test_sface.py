from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from recognize.embedders.sface import SFace
from stream.values import Image


def test_the_same_person_is_near_and_another_is_far(sface: SFace, crop_of: Callable[[str], Image]) -> None:
    obama, obama2, biden = sface.embed([crop_of("obama.jpg"), crop_of("obama2.jpg"), crop_of("biden.jpg")])
    assert obama @ obama2 > 0.6
    assert obama @ biden < 0.35


def test_embeddings_are_float32_of_length_1(sface: SFace, crop_of: Callable[[str], Image]) -> None:
    embeddings = sface.embed([crop_of("obama.jpg"), crop_of("astronaut.png")])
    assert embeddings.shape == (2, 128)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    assert sface.embed([]).shape == (0, 128)


def test_an_embedding_does_not_depend_on_the_batch(sface: SFace, crop_of: Callable[[str], Image]) -> None:
    names = ["obama.jpg", "obama2.jpg", "biden.jpg", "astronaut.png", "obama3.jpg"]
    crops = [crop_of(name) for name in names] * 4
    together = sface.embed(crops)
    alone = np.concatenate([sface.embed([crop]) for crop in crops[:5]])
    np.testing.assert_array_equal(together, np.tile(alone, (4, 1)))
    np.testing.assert_array_equal(sface.embed(crops[1:4]), alone[1:4])


def test_only_the_center_of_a_crop_counts(sface: SFace, crop_of: Callable[[str], Image]) -> None:
    crop = crop_of("obama.jpg")
    margin = (crop.shape[0] - 112) // 2
    assert margin > 0
    painted = np.full_like(crop, 255)
    painted[margin:-margin, margin:-margin] = crop[margin:-margin, margin:-margin]
    np.testing.assert_array_equal(sface.embed([painted]), sface.embed([crop]))


def test_it_agrees_with_opencv_on_the_same_network(
    sface: SFace, sface_path: Path, crop_of: Callable[[str], Image]
) -> None:
    crop = np.ascontiguousarray(crop_of("biden.jpg")[8:120, 8:120])
    theirs = cv2.FaceRecognizerSF.create(str(sface_path), "").feature(crop)[0]
    assert sface.embed([crop])[0] @ theirs / np.linalg.norm(theirs) > 0.9999


@pytest.mark.parametrize("shape", [(111, 111, 3), (112, 130, 3)])
def test_a_crop_too_small_or_not_square_is_refused(sface: SFace, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="square with sides of at least 112"):
        sface.embed([np.zeros(shape, np.uint8)])
