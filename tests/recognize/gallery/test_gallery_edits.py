from __future__ import annotations

from collections.abc import Callable
from time import time

import numpy as np
import pytest

from recognize.embedders.embedder import normalize
from recognize.embedders.sface import DIMENSIONS
from recognize.gallery import gallery_edits
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import Person
from stream.errors import UsageError
from stream.values import Array


def faces(count: int, seed: int) -> Array:
    return normalize(np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32))


ANN, BOB = Person(faces(3, 1), "from folder", "a digest"), Person(faces(2, 2))
KNOWN = Gallery("network", {"Ann": ANN, "Bob": BOB})


def test_a_new_person_is_added() -> None:
    grown = gallery_edits.enroll_person(KNOWN, "Cat", "", np.concatenate([faces(2, 3), faces(1, 3)]))
    assert grown.names == ("Ann", "Bob", "Cat")
    assert len(grown.people["Cat"].embeddings) == 2  # none twice
    assert grown.people["Cat"].description is None
    assert KNOWN.names == ("Ann", "Bob")
    assert time() - (grown.people["Cat"].enrolled or 0) < 60


def test_more_photos_and_fewer() -> None:
    grown = gallery_edits.add_embeddings(KNOWN, "Ann", np.concatenate([ANN.embeddings[:1], faces(1, 4)]))
    assert len(grown.people["Ann"].embeddings) == 4
    assert grown.people["Ann"].source == "a digest"
    less = gallery_edits.remove_photo(grown, "Ann", ANN.photos[1])
    assert less.people["Ann"].photos == (ANN.photos[0], ANN.photos[2], *grown.people["Ann"].photos[3:])


def test_another_name_and_another_description() -> None:
    named = gallery_edits.rename_person(KNOWN, "Ann", "Anna")
    assert named.names == ("Anna", "Bob")
    assert named.people["Anna"].photos == ANN.photos
    assert named.people["Anna"].source == "a digest"
    assert gallery_edits.set_description(KNOWN, "Ann", "tall").people["Ann"].description == "tall"
    assert gallery_edits.set_description(KNOWN, "Ann", "").people["Ann"].description is None


def test_two_become_one() -> None:
    one = gallery_edits.merge_people(KNOWN, "Ann", "Bob")
    assert one.names == ("Bob",)
    assert set(one.people["Bob"].photos) == {*ANN.photos, *BOB.photos}
    assert one.people["Bob"].description == "from folder"


def test_former_names_stay_with_the_person() -> None:
    named = gallery_edits.rename_person(gallery_edits.rename_person(KNOWN, "Ann", "Anna"), "Anna", "Ann Lee")
    assert named.people["Ann Lee"].former == ("Ann", "Anna")
    assert gallery_edits.rename_person(named, "Ann Lee", "Ann").people["Ann"].former == ("Anna", "Ann Lee")
    one = gallery_edits.merge_people(named, "Ann Lee", "Bob")
    assert one.people["Bob"].former == ("Ann", "Anna", "Ann Lee")
    assert gallery_edits.reenroll(one, {"Bob": BOB, "Cat": ANN}).people["Bob"].former == ("Ann", "Anna", "Ann Lee")
    assert gallery_edits.add_embeddings(one, "Bob", faces(1, 4)).people["Bob"].former == ("Ann", "Anna", "Ann Lee")
    assert gallery_edits.drop_former_names(one, ["Anna", "Eve"]).people["Bob"].former == ("Ann", "Ann Lee")


def test_of_two_that_become_one_the_first_enrolment_counts() -> None:
    since = KNOWN.with_people({"Cat": Person(faces(1, 3), enrolled=2.0), "Dan": Person(faces(1, 4), enrolled=1.0)})
    assert gallery_edits.merge_people(since, "Dan", "Cat").people["Cat"].enrolled == 1.0
    assert gallery_edits.merge_people(since, "Cat", "Dan").people["Dan"].enrolled == 1.0
    assert gallery_edits.merge_people(since, "Ann", "Dan").people["Dan"].enrolled == 1.0


def test_the_likeness_of_two_people_is_that_of_their_most_similar_photos() -> None:
    twin = KNOWN.with_people({"Bob": Person(np.concatenate([BOB.embeddings, ANN.embeddings[2:]]))})
    assert gallery_edits.likeness(twin, "Ann", "Bob") == pytest.approx(1.0)
    assert gallery_edits.likeness(KNOWN, "Ann", "Bob") < 0.5


def test_a_removed_person_leaves_nothing() -> None:
    less = gallery_edits.remove_person(KNOWN, "Ann")
    assert less.names == ("Bob",)
    assert less.photos == frozenset(BOB.photos)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda: gallery_edits.enroll_person(KNOWN, "Ann", None, faces(1, 5)),
            "Ann is known already: add the photos there",
        ),
        (lambda: gallery_edits.rename_person(KNOWN, "Ann", "Bob"), "Bob is known already: merge"),
        (lambda: gallery_edits.merge_people(KNOWN, "Ann", "Ann"), "into themselves"),
        (
            lambda: gallery_edits.remove_photo(
                gallery_edits.remove_photo(KNOWN, "Bob", BOB.photos[0]), "Bob", BOB.photos[1]
            ),
            "last photo",
        ),
    ],
)
def test_what_cannot_be(change: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        change()


@pytest.mark.parametrize(
    "change",
    [
        lambda: gallery_edits.add_embeddings(KNOWN, "Cat", faces(1, 5)),
        lambda: gallery_edits.rename_person(KNOWN, "Cat", "Dan"),
        lambda: gallery_edits.set_description(KNOWN, "Cat", ""),
        lambda: gallery_edits.merge_people(KNOWN, "Cat", "Ann"),
        lambda: gallery_edits.merge_people(KNOWN, "Ann", "Cat"),
        lambda: gallery_edits.remove_person(KNOWN, "Cat"),
        lambda: gallery_edits.remove_photo(KNOWN, "Cat", ANN.photos[0]),
        lambda: gallery_edits.remove_photo(KNOWN, "Bob", ANN.photos[0]),
    ],
)
def test_an_unknown_person_is_a_key_error(change: Callable[[], object]) -> None:
    with pytest.raises(KeyError):
        change()


def test_an_heir_is_known_by_the_photos_or_by_the_name() -> None:
    assert KNOWN.find_successor("Ann", ANN) == "Ann"
    assert gallery_edits.rename_person(KNOWN, "Ann", "Anna").find_successor("Ann", ANN) == "Anna"
    assert gallery_edits.merge_people(KNOWN, "Ann", "Bob").find_successor("Ann", ANN) == "Bob"
    assert gallery_edits.remove_person(KNOWN, "Ann").find_successor("Ann", ANN) is None
    assert Gallery("network").find_successor("Ann", ANN) is None
    anew = Gallery("network", {"Ann": Person(faces(2, 6)), "Bob": BOB})
    assert anew.find_successor("Ann", ANN) == "Ann"
    swapped = Gallery("network", {"Bob": ANN, "Ann": BOB})
    assert swapped.find_successor("Ann", ANN) == "Bob"
