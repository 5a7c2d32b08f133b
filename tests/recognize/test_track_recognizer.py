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


def restoration_of(
    image: Image,
    restored: Image | None = None,
    *,
    blur: float = 0.0,
    track: int = 1,
    quality: float = 1.0,
    co_visible: Iterable[int] = (),
) -> Restoration:
    matrix = np.eye(2, 3, dtype=np.float32)
    crop = FaceCrop(
        "door",
        track,
        0,
        0.0,
        image,
        matrix,
        None,
        FaceQuality(1.0, quality, 1.0),
        co_visible_tracks=frozenset(co_visible),
    )
    if restored is None:
        return Restoration(crop, image, "none", blur)
    return Restoration(crop, restored, "richardson-lucy", blur)


@pytest.fixture(scope="session")
def known(sface: SFace, crop_of: CropOf) -> Gallery:
    obama, biden = sface.embed([crop_of("obama.jpg"), crop_of("biden.jpg")])
    return Gallery(sface.fingerprint, {"Obama": Person(obama[None], "44th"), "Biden": Person(biden[None])})


def poor(image: Image, rng: np.random.Generator) -> Image:
    """Degrade a crop as a bad camera does: blurred, shifted, noisy."""
    blurred = softened(image, rng.uniform(1.5, 3))
    moved = cv2.warpAffine(blurred, np.array([[1, 0, rng.normal(0, 2)], [0, 1, rng.normal(0, 2)]]), image.shape[:2])
    return np.clip(moved + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


def test_one_good_sample_names_a_person_with_all_details(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    (identity,) = TrackRecognizer(sface, known).observe([restoration_of(crop_of("obama2.jpg"))])
    assert (identity.name, identity.description) == ("Obama", "44th")
    assert identity.score == identity.raw_score >= identity.threshold == threshold_for(2)
    assert identity.restored_score is None
    assert identity.deblurred_by == "none"
    assert identity.runner_up is not None
    assert identity.runner_up.name == "Biden"


def test_a_non_mated_face_stays_unknown(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer, rng = TrackRecognizer(sface, known), np.random.default_rng(1)
    views = [crop_of("astronaut.png")] + [poor(crop_of("astronaut.png"), rng) for _ in range(20)]
    identities = recognizer.observe([restoration_of(view, blur=4) for view in views])
    assert {identity.name for identity in identities} == {None}
    assert all(identity.score < identity.threshold for identity in identities)


def test_names_are_stable_for_noisy_samples(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer, rng = TrackRecognizer(sface, known), np.random.default_rng(2)
    views = [poor(crop_of(name), rng) for name in ("obama2.jpg", "obama3.jpg") * 25]
    names = [recognizer.observe([restoration_of(view, blur=6)])[0].name for view in views]
    changes = [name for name, before in zip(names, [None, *names], strict=False) if name != before]
    assert changes == ["Obama"]


def test_a_single_poor_sample_has_a_higher_threshold(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer, view = TrackRecognizer(sface, known, threshold=0.99), crop_of("obama2.jpg")
    thresholds = [recognizer.observe([restoration_of(view, quality=0.1)])[0].threshold for _ in range(6)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] > thresholds[-1] == 0.99


def test_a_blurred_sample_has_little_weight_next_to_a_sharp_one(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    sharp, other = crop_of("obama2.jpg"), crop_of("biden.jpg")
    (single,) = TrackRecognizer(sface, known).observe([restoration_of(sharp)])
    *_, with_blurred = TrackRecognizer(sface, known).observe([restoration_of(sharp), restoration_of(other, blur=40)])
    assert with_blurred.name == "Obama"
    assert abs(single.score - with_blurred.score) < 0.05


def test_raw_and_restored_scores_are_separate(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    sharp = crop_of("obama2.jpg")
    blurred = softened(sharp, 3.5)
    (identity,) = TrackRecognizer(sface, known).observe([restoration_of(blurred, sharp, blur=12)])
    (single,) = TrackRecognizer(sface, known).observe([restoration_of(blurred, blur=12)])
    assert identity.deblurred_by == "richardson-lucy"
    assert identity.restored_score is not None
    assert min(identity.restored_score, identity.score) > identity.raw_score
    assert identity.raw_score == pytest.approx(single.score)


def test_a_restored_still_image_has_a_higher_threshold(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    sharp = crop_of("obama2.jpg")
    blurred = softened(sharp, 3.5)
    restored, left = TrackRecognizer(sface, known).identify(
        [restoration_of(blurred, sharp, blur=12), restoration_of(blurred, blur=12)]
    )
    assert left.threshold == threshold_for(2)
    assert restored.threshold == pytest.approx(threshold_for(2) + float(still_threshold_offset(12)))


def test_the_false_positive_rate_at_the_score_is_given(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    def rates(recognizer: TrackRecognizer) -> list[float | None]:
        views = ("obama2.jpg", "astronaut.png")
        return [
            recognizer.observe([restoration_of(crop_of(name), track=track)])[0].false_positive_rate
            for track, name in enumerate(views)
        ]

    mated, non_mated = rates(TrackRecognizer(sface, known))
    assert mated == LOWEST_FPIR
    assert non_mated is not None
    assert non_mated > 0.01
    assert rates(TrackRecognizer(sface, known, threshold=0.5)) == [None, None]


def test_a_track_that_stays_blurred_has_a_lower_threshold(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    blurred, sharp = softened(crop_of("biden.jpg"), 3.5), crop_of("biden.jpg")
    base = threshold_for(2)
    raw, restored = (
        TrackRecognizer(sface, known.without_people("Biden")).observe([view] * 9)[-1]
        for view in (restoration_of(blurred, blur=12), restoration_of(blurred, sharp, blur=12))
    )
    assert raw.threshold == pytest.approx(base - float(blur_threshold_offset(12)))
    assert restored.threshold == base
    views = [*[restoration_of(sharp)] * 3, *[restoration_of(blurred, blur=30)] * 3]
    *_, mixed = TrackRecognizer(sface, known.without_people("Biden")).observe(views)
    assert base - 0.01 < mixed.threshold < base, "sharp samples have more weight"


def test_restoration_does_not_name_a_person_that_the_raw_crop_contradicts(
    sface: SFace, known: Gallery, crop_of: CropOf
) -> None:
    contradiction = restoration_of(crop_of("obama2.jpg"), crop_of("biden.jpg"), blur=60)
    recognizer = TrackRecognizer(sface, known)
    for _ in range(10):
        (identity,) = recognizer.observe([contradiction])
    assert identity.restored_score is not None
    assert identity.restored_score > 0.9
    assert identity.name is None


def test_a_track_that_switches_to_another_person_starts_a_new_template(
    sface: SFace, known: Gallery, crop_of: CropOf
) -> None:
    recognizer = TrackRecognizer(sface, known)
    views = ["obama3.jpg"] * 10 + ["biden.jpg"] * 3
    *_, last, doubtful, another, later = recognizer.observe([restoration_of(crop_of(name)) for name in views])
    assert (last.continuity, doubtful.continuity, another.continuity, later.continuity) == (
        "same",
        "doubtful",
        "another",
        "same",
    )
    assert [each.name for each in (last, doubtful, another, later)] == ["Obama", "Obama", "Biden", "Biden"]
    assert another.score == pytest.approx(1, abs=1e-5), "no sample of the first person stays"


def test_single_samples_of_other_faces_are_ignored(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known)
    before, *_ = recognizer.observe([restoration_of(crop_of("obama3.jpg"))])
    others = [crop_of("biden.jpg"), crop_of("astronaut.png")]  # also different from each other
    continuities = [identity.continuity for identity in recognizer.observe([restoration_of(each) for each in others])]
    again, *_ = recognizer.observe([restoration_of(crop_of("obama3.jpg"))])
    assert continuities == ["doubtful", "doubtful"]
    assert (again.name, again.continuity) == ("Obama", "same")
    assert again.score == pytest.approx(before.score)


def test_of_two_co_visible_tracks_only_the_more_similar_keeps_a_name(
    sface: SFace, known: Gallery, crop_of: CropOf
) -> None:
    recognizer = TrackRecognizer(sface, known)
    worse, better = softened(crop_of("obama2.jpg"), 3), crop_of("obama.jpg")  # the enrolled photo itself
    (first,) = recognizer.observe([restoration_of(worse, track=1, co_visible={2})])
    (second,) = recognizer.observe([restoration_of(better, track=2, co_visible={1})])
    assert (first.name, second.name) == ("Obama", "Obama")
    ((track, loser),) = recognizer.take_revoked().items()
    assert (track, loser.name, loser.description) == (("door", 1), None, None)
    assert loser.score < loser.threshold == second.score
    assert not recognizer.take_revoked(), "it is reported once"
    (again,) = recognizer.observe([restoration_of(worse, track=1, co_visible={2})])
    assert again.name is None
    assert recognizer.reidentify()["door", 1].name is None
    recognizer.forget("door", 2)
    assert recognizer.observe([restoration_of(worse, track=1)])[0].name == "Obama"


def test_the_first_of_two_equal_co_visible_tracks_keeps_the_name(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer, view = TrackRecognizer(sface, known), crop_of("obama2.jpg")
    first, second = recognizer.observe(
        [restoration_of(view, track=1, co_visible={2}), restoration_of(view, track=2, co_visible={1})]
    )
    assert (first.name, second.name) == ("Obama", None)
    assert not recognizer.take_revoked()
    elsewhere = recognizer.observe([restoration_of(view, track=3)])
    assert elsewhere[0].name == "Obama", "never visible together with the first: possibly the same person again"


def test_tracks_are_independent_and_can_be_forgotten(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known)
    obama, biden = recognizer.observe(
        [restoration_of(crop_of("obama2.jpg")), restoration_of(crop_of("biden.jpg"), track=2)]
    )
    assert (obama.name, biden.name) == ("Obama", "Biden")
    recognizer.forget("door", 1)
    recognizer.forget("door", 1)
    (anew,) = recognizer.observe([restoration_of(crop_of("biden.jpg"))])
    assert anew.name == "Biden"
    assert anew.score == pytest.approx(1, abs=1e-5)


def test_the_number_of_templates_is_bounded(
    sface: SFace, known: Gallery, crop_of: CropOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track_recognizer, "TRACKS", 2)
    recognizer, view = TrackRecognizer(sface, known), crop_of("obama2.jpg")
    recognizer.observe([restoration_of(view, track=track) for track in (1, 2, 1, 3)])
    assert recognizer.dropped == 1
    (again,) = recognizer.observe([restoration_of(crop_of("biden.jpg"), track=2)])
    assert again.score == pytest.approx(1, abs=1e-5)


def test_single_calls_and_a_batch_give_the_same_result(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    restorations = [
        restoration_of(crop_of("obama2.jpg"), blur=3),
        restoration_of(softened(crop_of("biden.jpg"), 2), crop_of("biden.jpg"), blur=8, track=2),
        restoration_of(crop_of("obama3.jpg"), blur=5),
    ]
    together, singly = TrackRecognizer(sface, known), TrackRecognizer(sface, known)
    assert together.observe(restorations) == [singly.observe([restoration])[0] for restoration in restorations]


def test_still_images_are_identified_independently(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known)
    stills = [restoration_of(crop_of(name)) for name in ("obama2.jpg", "biden.jpg", "astronaut.png")]
    identities = recognizer.identify(stills)
    assert [identity.name for identity in identities] == ["Obama", "Biden", None]
    assert {identity.threshold for identity in identities} == {threshold_for(2)}


def test_an_empty_gallery_gives_no_name(sface: SFace, crop_of: CropOf) -> None:
    (identity,) = TrackRecognizer(sface, Gallery(sface.fingerprint)).observe([restoration_of(crop_of("biden.jpg"))])
    assert (identity.name, identity.score, identity.runner_up) == (None, 0.0, None)


def test_a_new_gallery_renames_a_track_by_its_existing_template(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    recognizer = TrackRecognizer(sface, known.without_people("Obama"))
    assert recognizer.observe([restoration_of(crop_of("obama2.jpg"))])[0].name is None
    recognizer.use(known)
    assert recognizer.observe([restoration_of(crop_of("obama3.jpg"))])[0].name == "Obama"
    recognizer.use(known.without_people("Obama"))
    assert recognizer.observe([restoration_of(crop_of("obama3.jpg"))])[0].name is None
    with pytest.raises(GalleryError, match="another embedding network"):
        recognizer.use(Gallery(NETWORK))


def test_a_gallery_can_be_replaced_at_any_time(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    """The same people in another order: a mixed decision would give the wrong name."""
    reordered = Gallery(known.fingerprint, dict(reversed(list(known.people.items()))))
    recognizer, done = TrackRecognizer(sface, known), Event()

    def swap() -> None:
        while not done.is_set():
            recognizer.use(reordered)
            recognizer.use(known)

    swapping = Thread(target=swap)
    swapping.start()
    names = [recognizer.observe([restoration_of(crop_of("obama2.jpg"))])[0].name for _ in range(20)]
    done.set()
    swapping.join()
    assert set(names) == {"Obama"}


def lower_score(recognizer: TrackRecognizer, threshold: float, crop_of: CropOf) -> None:
    """Add poor samples of a named person until only hysteresis keeps the name."""
    rng = np.random.default_rng(5)
    for _ in range(100):
        (identity,) = recognizer.observe([restoration_of(poor(crop_of("obama2.jpg"), rng))])
        assert identity.name == "Obama"
        if identity.score < threshold - 0.01:
            return
    pytest.fail("the samples were too good")


def test_a_renamed_or_merged_person_keeps_the_assigned_name(sface: SFace, known: Gallery, crop_of: CropOf) -> None:
    view = restoration_of(crop_of("obama2.jpg"))
    (first,) = TrackRecognizer(sface, known).identify([view])
    threshold = first.score - 0.02
    recognizer = TrackRecognizer(sface, known, threshold)
    recognizer.observe([view, view])
    lower_score(recognizer, threshold, crop_of)
    recognizer.use(rename_person(known, "Obama", "Barack"))
    assert [identity.name for identity in recognizer.reidentify().values()] == ["Barack"]
    recognizer.use(merge_people(rename_person(known, "Obama", "Barack"), "Barack", "Biden"))
    assert [identity.name for identity in recognizer.reidentify().values()] == ["Biden"]
    recognizer.use(remove_person(known, "Obama"))
    (identity,) = recognizer.reidentify().values()
    assert identity.name is None
    recognizer.use(known)  # as a new person, without an assigned name
    assert [identity.name for identity in recognizer.reidentify().values()] == [None]


def test_a_newly_enrolled_person_is_identified_by_existing_templates(
    sface: SFace, known: Gallery, crop_of: CropOf
) -> None:
    recognizer = TrackRecognizer(sface, Gallery(sface.fingerprint))
    (unknown,) = recognizer.observe([restoration_of(crop_of("obama2.jpg"), track=3)])
    assert unknown.name is None
    recognizer.use(known)
    ((track, identity),) = recognizer.reidentify().items()
    assert (track, identity.name) == (("door", 3), "Obama")
    recognizer.forget("door", 3)
    assert not recognizer.reidentify()
