from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event, Thread

import cv2
import numpy as np
import pytest

from recognize import track_recognizer
from recognize.embedders.sface import SFace
from recognize.gallery.calibration import LOWEST_FPIR, threshold_for
from recognize.gallery.gallery_edits import merge_people, remove_person, rename_person
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import Person
from recognize.restoration_fusion import blur_threshold_offset, still_threshold_offset
from recognize.track_recognizer import TrackRecognizer
from stream.errors import GalleryError
from stream.values import FaceCrop, FaceQuality, Image, Restoration
from tests.recognize.conftest import NETWORK, softened

CropOf = Callable[[str], Image]


def seen(
    image: Image,
    restored: Image | None = None,
    *,
    blur: float = 0.0,
    track: int = 1,
    quality: float = 1.0,
    beside: Iterable[int] = (),
) -> Restoration:
    matrix = np.eye(2, 3, dtype=np.float32)
    crop = FaceCrop(
        "door", track, 0, 0.0, image, matrix, None, FaceQuality(1.0, quality, 1.0), co_visible_tracks=frozenset(beside)
    )
    if restored is None:
        return Restoration(crop, image, "none", blur)
    return Restoration(crop, restored, "richardson-lucy", blur)


@pytest.fixture(scope="session")
def known(sface: SFace, crop_of: CropOf) -> Gallery:
    obama, biden = sface.embed([crop_of("obama.jpg"), crop_of("biden.jpg")])
    return Gallery(sface.fingerprint, {"Obama": Person(obama[None], "44th"), "Biden": Person(biden[None])})


def poor(image: Image, rng: np.random.Generator) -> Image:
    """A view as a bad camera gives it: blurred, shifted, noisy."""
    blurred = softened(image, rng.uniform(1.5, 3))
    moved = cv2.warpAffine(blurred, np.array([[1, 0, rng.normal(0, 2)], [0, 1, rng.normal(0, 2)]]), image.shape[:2])
    return np.clip(moved + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


def test_one_good_view_names_a_person_with_all_that_is_known(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    (identity,) = TrackRecognizer(sface, known).observe([seen(crop_of("obama2.jpg"))])
    assert (identity.name, identity.description) == ("Obama", "44th")
    assert identity.score == identity.raw_score >= identity.threshold == threshold_for(2)
    assert identity.restored_score is None
    assert identity.deblurred_by == "none"
    assert identity.runner_up is not None
    assert identity.runner_up.name == "Biden"


def test_a_stranger_stays_unknown(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer, rng = TrackRecognizer(sface, known), np.random.default_rng(1)
    views = [crop_of("astronaut.png")] + [poor(crop_of("astronaut.png"), rng) for _ in range(20)]
    identities = recognizer.observe([seen(view, blur=4) for view in views])
    assert {identity.name for identity in identities} == {None}
    assert all(identity.score < identity.threshold for identity in identities)


def test_names_do_not_flap_under_noisy_evidence(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer, rng = TrackRecognizer(sface, known), np.random.default_rng(2)
    views = [poor(crop_of(name), rng) for name in ("obama2.jpg", "obama3.jpg") * 25]
    names = [recognizer.observe([seen(view, blur=6)])[0].name for view in views]
    changes = [name for name, before in zip(names, [None, *names], strict=False) if name != before]
    assert changes == ["Obama"]


def test_a_poor_view_is_held_to_more_than_many(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer, view = TrackRecognizer(sface, known, threshold=0.99), crop_of("obama2.jpg")
    thresholds = [recognizer.observe([seen(view, quality=0.1)])[0].threshold for _ in range(6)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] > thresholds[-1] == 0.99


def test_a_blurred_view_counts_for_little_beside_a_sharp_one(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    sharp, other = crop_of("obama2.jpg"), crop_of("biden.jpg")
    (alone,) = TrackRecognizer(sface, known).observe([seen(sharp)])
    *_, beside_blurred = TrackRecognizer(sface, known).observe([seen(sharp), seen(other, blur=40)])
    assert beside_blurred.name == "Obama"
    assert abs(alone.score - beside_blurred.score) < 0.05


def test_raw_and_restored_evidence_are_told_apart(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    sharp = crop_of("obama2.jpg")
    blurred = softened(sharp, 3.5)
    (identity,) = TrackRecognizer(sface, known).observe([seen(blurred, sharp, blur=12)])
    (alone,) = TrackRecognizer(sface, known).observe([seen(blurred, blur=12)])
    assert identity.deblurred_by == "richardson-lucy"
    assert identity.restored_score is not None
    assert min(identity.restored_score, identity.score) > identity.raw_score
    assert identity.raw_score == pytest.approx(alone.score)


def test_a_restored_still_is_held_to_more(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    sharp = crop_of("obama2.jpg")
    blurred = softened(sharp, 3.5)
    restored, left = TrackRecognizer(sface, known).identify([seen(blurred, sharp, blur=12), seen(blurred, blur=12)])
    assert left.threshold == threshold_for(2)
    assert restored.threshold == pytest.approx(threshold_for(2) + float(still_threshold_offset(12)))


def test_the_chance_is_told_that_a_stranger_would_do_as_well(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    def chances(recognizer: TrackRecognizer) -> list[float | None]:
        views = ("obama2.jpg", "astronaut.png")
        return [
            recognizer.observe([seen(crop_of(name), track=track)])[0].false_positive_rate
            for track, name in enumerate(views)
        ]

    somebody, nobody = chances(TrackRecognizer(sface, known))
    assert somebody == LOWEST_FPIR
    assert nobody is not None
    assert nobody > 0.01
    assert chances(TrackRecognizer(sface, known, threshold=0.5)) == [None, None]


def test_a_track_that_stays_blurred_is_held_to_less(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    blurred, sharp = softened(crop_of("biden.jpg"), 3.5), crop_of("biden.jpg")
    base = threshold_for(2)
    raw, restored = (
        TrackRecognizer(sface, known.without_people("Biden")).observe([view] * 9)[-1]
        for view in (seen(blurred, blur=12), seen(blurred, sharp, blur=12))
    )
    assert raw.threshold == pytest.approx(base - float(blur_threshold_offset(12)))
    assert restored.threshold == base
    views = [*[seen(sharp)] * 3, *[seen(blurred, blur=30)] * 3]
    *_, mixed = TrackRecognizer(sface, known.without_people("Biden")).observe(views)
    assert base - 0.01 < mixed.threshold < base, "the sharp views count for more"


def test_restoration_alone_names_nobody_whom_the_raw_view_contradicts(
    sface: SFace, known: Gallery, crop_of: CropOf
) -> None:
    lie = seen(crop_of("obama2.jpg"), crop_of("biden.jpg"), blur=60)
    recognizer = TrackRecognizer(sface, known)
    for _ in range(10):
        (identity,) = recognizer.observe([lie])
    assert identity.restored_score is not None
    assert identity.restored_score > 0.9
    assert identity.name is None


def test_a_track_that_slips_to_somebody_else_begins_anew(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known)
    views = ["obama3.jpg"] * 10 + ["biden.jpg"] * 3
    *_, last, doubtful, another, later = recognizer.observe([seen(crop_of(name)) for name in views])
    assert (last.continuity, doubtful.continuity, another.continuity, later.continuity) == (
        "same",
        "doubtful",
        "another",
        "same",
    )
    assert [each.name for each in (last, doubtful, another, later)] == ["Obama", "Obama", "Biden", "Biden"]
    assert another.score == pytest.approx(1, abs=1e-5), "nothing of the first stays"


def test_one_view_of_something_else_counts_for_nothing(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known)
    before, *_ = recognizer.observe([seen(crop_of("obama3.jpg"))])
    something = [crop_of("biden.jpg"), crop_of("astronaut.png")]  # unlike each other, too
    bodies = [identity.continuity for identity in recognizer.observe([seen(each) for each in something])]
    again, *_ = recognizer.observe([seen(crop_of("obama3.jpg"))])
    assert bodies == ["doubtful", "doubtful"]
    assert (again.name, again.continuity) == ("Obama", "same")
    assert again.score == pytest.approx(before.score)


def test_nobody_is_in_one_picture_twice(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known)
    worse, better = softened(crop_of("obama2.jpg"), 3), crop_of("obama.jpg")  # the enrolled photo itself
    (first,) = recognizer.observe([seen(worse, track=1, beside={2})])
    (second,) = recognizer.observe([seen(better, track=2, beside={1})])
    assert (first.name, second.name) == ("Obama", "Obama")
    ((track, loser),) = recognizer.take_revoked().items()
    assert (track, loser.name, loser.description) == (("door", 1), None, None)
    assert loser.score < loser.threshold == second.score
    assert not recognizer.take_revoked(), "it is told once"
    (again,) = recognizer.observe([seen(worse, track=1, beside={2})])
    assert again.name is None
    assert recognizer.reidentify()["door", 1].name is None
    recognizer.forget("door", 2)
    assert recognizer.observe([seen(worse, track=1)])[0].name == "Obama"


def test_whoever_bears_a_name_keeps_it_beside_an_equal(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer, view = TrackRecognizer(sface, known), crop_of("obama2.jpg")
    first, second = recognizer.observe([seen(view, track=1, beside={2}), seen(view, track=2, beside={1})])
    assert (first.name, second.name) == ("Obama", None)
    assert not recognizer.take_revoked()
    elsewhere = recognizer.observe([seen(view, track=3)])
    assert elsewhere[0].name == "Obama", "never seen beside the first: perhaps the same, found again"


def test_tracks_are_apart_and_forgotten(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known)
    obama, biden = recognizer.observe([seen(crop_of("obama2.jpg")), seen(crop_of("biden.jpg"), track=2)])
    assert (obama.name, biden.name) == ("Obama", "Biden")
    recognizer.forget("door", 1)
    recognizer.forget("door", 1)
    (anew,) = recognizer.observe([seen(crop_of("biden.jpg"))])
    assert anew.name == "Biden"
    assert anew.score == pytest.approx(1, abs=1e-5)


def test_evidence_is_bounded(sface: SFace, known: Gallery, crop_of: CropOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_recognizer, "TRACKS", 2)
    recognizer, view = TrackRecognizer(sface, known), crop_of("obama2.jpg")
    recognizer.observe([seen(view, track=track) for track in (1, 2, 1, 3)])
    assert recognizer.dropped == 1
    (again,) = recognizer.observe([seen(crop_of("biden.jpg"), track=2)])
    assert again.score == pytest.approx(1, abs=1e-5)


def test_one_by_one_and_all_at_once_say_the_same(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    restorations = [
        seen(crop_of("obama2.jpg"), blur=3),
        seen(softened(crop_of("biden.jpg"), 2), crop_of("biden.jpg"), blur=8, track=2),
        seen(crop_of("obama3.jpg"), blur=5),
    ]
    together, singly = TrackRecognizer(sface, known), TrackRecognizer(sface, known)
    assert together.observe(restorations) == [singly.observe([restoration])[0] for restoration in restorations]


def test_a_still_picture_is_judged_by_itself(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known)
    stills = [seen(crop_of(name)) for name in ("obama2.jpg", "biden.jpg", "astronaut.png")]
    identities = recognizer.identify(stills)
    assert [identity.name for identity in identities] == ["Obama", "Biden", None]
    assert {identity.threshold for identity in identities} == {threshold_for(2)}


def test_an_empty_gallery_knows_nobody(sface: SFace, crop_of: CropOf) -> None:
    (identity,) = TrackRecognizer(sface, Gallery(sface.fingerprint)).observe([seen(crop_of("biden.jpg"))])
    assert (identity.name, identity.score, identity.runner_up) == (None, 0.0, None)


def test_another_gallery_renames_the_track_by_its_old_evidence(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known.without_people("Obama"))
    assert recognizer.observe([seen(crop_of("obama2.jpg"))])[0].name is None
    recognizer.use(known)
    assert recognizer.observe([seen(crop_of("obama3.jpg"))])[0].name == "Obama"
    recognizer.use(known.without_people("Obama"))
    assert recognizer.observe([seen(crop_of("obama3.jpg"))])[0].name is None
    with pytest.raises(GalleryError, match="another embedding network"):
        recognizer.use(Gallery(NETWORK))


def test_a_gallery_may_be_swapped_at_any_moment(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    """Galleries that list the same people in other places: a mixed decision would give the wrong name."""
    turned = Gallery(known.fingerprint, dict(reversed(list(known.people.items()))))
    recognizer, done = TrackRecognizer(sface, known), Event()

    def swap() -> None:
        while not done.is_set():
            recognizer.use(turned)
            recognizer.use(known)

    swapping = Thread(target=swap)
    swapping.start()
    names = [recognizer.observe([seen(crop_of("obama2.jpg"))])[0].name for _ in range(20)]
    done.set()
    swapping.join()
    assert set(names) == {"Obama"}


def wavering(recognizer: TrackRecognizer, threshold: float, crop_of: CropOf) -> None:
    """Show poor views of somebody who was named, until the name stays only because it was there."""
    rng = np.random.default_rng(5)
    for _ in range(100):
        (identity,) = recognizer.observe([seen(poor(crop_of("obama2.jpg"), rng))])
        assert identity.name == "Obama"
        if identity.score < threshold - 0.01:
            return
    pytest.fail("the views were too good")


def test_who_is_called_otherwise_keeps_what_their_name_has_earned(
    sface: SFace, known: Gallery, crop_of: CropOf
) -> None:
    view = seen(crop_of("obama2.jpg"))
    (first,) = TrackRecognizer(sface, known).identify([view])
    threshold = first.score - 0.02
    recognizer = TrackRecognizer(sface, known, threshold)
    recognizer.observe([view, view])
    wavering(recognizer, threshold, crop_of)
    recognizer.use(rename_person(known, "Obama", "Barack"))
    assert [identity.name for identity in recognizer.reidentify().values()] == ["Barack"]
    recognizer.use(merge_people(rename_person(known, "Obama", "Barack"), "Barack", "Biden"))
    assert [identity.name for identity in recognizer.reidentify().values()] == ["Biden"]
    recognizer.use(remove_person(known, "Obama"))
    (identity,) = recognizer.reidentify().values()
    assert identity.name is None
    recognizer.use(known)  # as somebody new, who has earned nothing yet
    assert [identity.name for identity in recognizer.reidentify().values()] == [None]


def test_who_is_enrolled_is_known_by_what_was_seen_before(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, Gallery(sface.fingerprint))
    (stranger,) = recognizer.observe([seen(crop_of("obama2.jpg"), track=3)])
    assert stranger.name is None
    recognizer.use(known)
    ((track, identity),) = recognizer.reidentify().items()
    assert (track, identity.name) == (("door", 3), "Obama")
    recognizer.forget("door", 3)
    assert not recognizer.reidentify()
