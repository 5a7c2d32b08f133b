from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from detectors.alignment import align
from detectors.yunet import YuNet
from stream.values import Image
from unblur.evaluate.data.datasets import detect_landmarks
from unblur.evaluate.experiments.reference_embedders import ReferenceEmbedder, load_judge


@pytest.fixture(
    scope="module",
    # FaceNet's 87 MB are fetched by the slow tests only.
    params=["sface", pytest.param("facenet", marks=pytest.mark.slow)],
)
def one(request: pytest.FixtureRequest) -> ReferenceEmbedder:
    return load_judge(request.param, "auto")


def test_same_person_is_more_alike_than_others(
    one: ReferenceEmbedder, faces: dict[str, Image], detector: YuNet
) -> None:
    names, crops = [], []
    for name, picture in faces.items():
        landmarks = detect_landmarks(detector, picture)
        assert landmarks is not None
        names.append(name.rstrip("23.jpgn"))
        crops.append(align(picture, landmarks)[0])
    embeddings = one.embed(crops)
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    alike = {True: [], False: []}  # type: dict[bool, list[float]]
    for first, second in combinations(range(len(names)), 2):
        alike[names[first] == names[second]].append(float(embeddings[first] @ embeddings[second]))
    assert min(alike[True]) > max(alike[False])


def test_no_crops_give_no_embeddings(one: ReferenceEmbedder) -> None:
    assert one.embed([]).shape[0] == 0
