from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.backends.selection import load
from recognize.embedders.fitted_embedder import SIDE, FittedEmbedder, FittedMethod, fit, read_description, views
from recognize.embedders.subspaces import Labels
from recognize.gallery.people_gallery import Gallery, load_gallery
from recognize.gallery.person import Person
from stream.errors import GalleryError, UsageError
from stream.values import Image
from tests.recognize.conftest import album

SUBSPACES: tuple[FittedMethod, ...] = ("pca", "lda", "lpp")


@pytest.fixture(scope="module")
def people(crop_of: Callable[[str], Image]) -> tuple[list[Image], Labels]:
    return album([crop_of(name) for name in ("obama2.jpg", "biden.jpg", "astronaut.png")])


def written(folder: Path, method: FittedMethod, people: tuple[list[Image], Labels]) -> Path:
    file = folder / f"{method}.onnx"
    file.write_bytes(fit(method, *people, seed=0))
    return file


def opened(file: Path, method: FittedMethod) -> FittedEmbedder:
    return FittedEmbedder(load(file, "onnxruntime"), read_description(file, method))


@pytest.mark.parametrize("method", SUBSPACES)
def test_people_are_near_to_themselves(
    method: FittedMethod, people: tuple[list[Image], Labels], tmp_path: Path
) -> None:
    crops, labels = people
    learnt = np.arange(len(labels)) % 3 > 0
    some = [crop for crop, taken in zip(crops, learnt, strict=True) if taken]
    embedder = opened(written(tmp_path, method, (some, labels[learnt])), method)
    embeddings = embedder.embed(crops)
    assert embeddings.shape == (len(crops), embedder.dimensions)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    nearest = (embeddings[~learnt] @ embeddings[learnt].T).argmax(1)
    assert (labels[learnt][nearest] == labels[~learnt]).all()


def test_an_embedding_does_not_depend_on_the_batch(people: tuple[list[Image], Labels], tmp_path: Path) -> None:
    embedder = opened(written(tmp_path, "lda", people), "lda")
    crops = people[0] * 6
    alone = np.concatenate([embedder.embed([crop]) for crop in people[0]])
    np.testing.assert_allclose(embedder.embed(crops), np.tile(alone, (6, 1)), atol=1e-5)
    assert embedder.embed([]).shape == (0, embedder.dimensions)


@settings(deadline=None)
@given(st.floats(0.5, 1.5), st.floats(-20, 20))
def test_neither_brightness_nor_contrast_counts(gain: float, shift: float) -> None:
    tiles = np.kron(np.random.default_rng(0).integers(60, 196, (16, 16, 1)), np.ones((8, 8, 3)))
    one, other = views([tiles.astype(np.uint8), (gain * (tiles - 128) + 128 + shift).astype(np.uint8)])
    assert one.shape == (1, SIDE, SIDE)
    np.testing.assert_allclose(one, other, atol=0.1)


def test_a_blank_crop_has_a_view() -> None:
    assert not views([np.full((128, 128, 3), 90, np.uint8)]).any()


@pytest.mark.parametrize("shape", [(111, 111, 3), (112, 130, 3)])
def test_a_crop_too_small_or_not_square_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="square with sides of at least 112"):
        views([np.zeros(shape, np.uint8)])


def test_the_same_photos_give_the_same_file_and_others_another(people: tuple[list[Image], Labels]) -> None:
    crops, labels = people
    assert fit("lpp", crops, labels, seed=0) == fit("lpp", crops, labels, seed=1)
    assert fit("lpp", crops[1:], labels[1:], seed=0) != fit("lpp", crops, labels, seed=0)


def test_a_gallery_can_be_used_only_with_its_embedder_file(people: tuple[list[Image], Labels], tmp_path: Path) -> None:
    crops, labels = people
    one = opened(written(tmp_path, "lda", people), "lda")
    other = opened(written(tmp_path, "pca", people), "pca")
    known = {str(label): Person(one.embed(crops)[labels == label]) for label in range(3)}
    Gallery(one.fingerprint, known).save(tmp_path / "G.joblib")
    gallery = load_gallery(tmp_path / "G.joblib", one.fingerprint)
    assert [ranking[0].name for ranking in gallery.match(one.embed(crops))] == [str(label) for label in labels]
    with pytest.raises(GalleryError, match="another embedding network"):
        load_gallery(tmp_path / "G.joblib", other.fingerprint)


def test_files_that_cannot_serve_are_named(
    people: tuple[list[Image], Labels], tmp_path: Path, sface_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"was fitted as lda, not as pca: set recognition\.embedder to lda"):
        read_description(written(tmp_path, "lda", people), "pca")
    with pytest.raises(UsageError, match=r"none\.onnx \(No such file or directory\): run `unblur fit`"):
        read_description(tmp_path / "none.onnx", "lda")
    (tmp_path / "letter.onnx").write_text("Dear all")
    for path in (tmp_path / "letter.onnx", sface_path):
        with pytest.raises(UsageError, match="not a file made by `unblur fit`"):
            read_description(path, "lda")


@pytest.mark.parametrize("method", [*SUBSPACES, "fusion-cnn"])
def test_too_few_people_or_photos_are_refused(method: FittedMethod, people: tuple[list[Image], Labels]) -> None:
    crops, labels = people
    with pytest.raises(UsageError, match="1 people and 8 photos"):
        fit(method, crops[:8], labels[:8], seed=0)
    with pytest.raises(UsageError, match="2 people and 2 photos"):
        fit(method, [crops[0]] * 8 + [crops[-1]], np.array([0] * 8 + [1]), seed=0)


@pytest.mark.parametrize("method", SUBSPACES)
@pytest.mark.filterwarnings("error")
def test_photos_that_come_again_and_people_with_one_photo_can_be_fitted_to(
    method: FittedMethod, people: tuple[list[Image], Labels], tmp_path: Path
) -> None:
    crops, labels = people[0][:19], people[1][:19]
    again = written(tmp_path, method, (crops * 7, np.tile(labels, 7)))
    assert np.isfinite(opened(again, method).embed(crops)).all()
    once = written(tmp_path, method, (crops, labels))
    assert np.isfinite(opened(once, method).embed(crops)).all()
