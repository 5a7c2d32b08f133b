from __future__ import annotations

import pickle
import threading
import warnings
from dataclasses import asdict
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recognize.gallery import people_gallery
from recognize.gallery.people_gallery import Gallery, gallery_lock, load_gallery
from recognize.gallery.person import Person
from stream.errors import GalleryError, OutputError
from tests.recognize.conftest import NETWORK, directions

DISK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
HEADER = len(b"unblur gallery\n") + 1 + 2 * 32
NAMES = ["Anna Müller", "a/b\\c", "👩‍🚀", "מירי כהן", "..", "O'Neil\n2"]


def people(*names: str, photos: int = 2) -> dict[str, Person]:
    embeddings = directions(len(names) * photos).reshape(len(names), photos, 128)
    return {name: Person(part, f"about {name}") for name, part in zip(names, embeddings, strict=True)}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "G.joblib"
    Gallery(NETWORK, people(*NAMES)).save(path)
    return path


def assert_same(one: Gallery, other: Gallery) -> None:
    assert one.fingerprint == other.fingerprint
    assert one.names == other.names
    for name in one.names:
        np.testing.assert_array_equal(one.people[name].embeddings, other.people[name].embeddings)
        assert one.people[name].description == other.people[name].description
        assert one.people[name].source == other.people[name].source


@DISK
@given(
    names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=6, unique=True),
    photos=st.integers(1, 3),
    about=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
)
def test_any_names_come_back(tmp_path: Path, names: list[str], photos: int, about: str | None) -> None:
    embeddings = directions(photos)
    gallery = Gallery(NETWORK, {name: Person(embeddings, about, "digest") for name in names})
    gallery.save(tmp_path / "G.joblib")
    again = load_gallery(tmp_path / "G.joblib", NETWORK)
    assert_same(again, gallery)
    np.testing.assert_array_equal(again.scores(embeddings), gallery.scores(embeddings))


def test_names_are_the_same_however_they_are_encoded() -> None:
    gallery = Gallery(NETWORK, people("Zoe\u0308"))
    assert gallery.names == ("Zo\u00eb",)
    assert Gallery(NETWORK, people("Zo\u00eb")).with_people(people("Zoe\u0308", photos=3)).names == ("Zo\u00eb",)


def test_a_score_is_the_cosine_of_the_nearest_photo() -> None:
    gallery = Gallery(NETWORK, people(*NAMES, photos=3))
    queries = directions(5, seed=1)
    photos = np.stack([gallery.people[name].embeddings for name in NAMES])
    np.testing.assert_allclose(gallery.scores(queries), np.einsum("qd,npd->qnp", queries, photos).max(-1), atol=1e-6)


def test_the_ranking_names_the_best_and_the_best_other_person() -> None:
    gallery = Gallery(NETWORK, people("A", "B", "C"))
    near_b = gallery.people["B"].embeddings[1] + 0.5 * gallery.people["C"].embeddings[0]
    (ranking,) = gallery.match((near_b / np.linalg.norm(near_b))[None])
    assert [who.name for who in ranking] == ["B", "C"]
    assert ranking[0].score > ranking[1].score
    assert len(Gallery(NETWORK, people("A")).match(directions(1))[0]) == 1


def test_an_empty_gallery_has_no_match_and_is_refused_from_a_file(tmp_path: Path) -> None:
    empty = Gallery(NETWORK)
    assert empty.match(directions(2)) == [(), ()]
    empty.save(tmp_path / "G.joblib")
    with pytest.raises(GalleryError, match="holds nobody"):
        load_gallery(tmp_path / "G.joblib", NETWORK)
    assert load_gallery(tmp_path / "G.joblib", NETWORK, allow_empty=True).names == ()


def test_adding_and_removing_do_not_change_the_gallery_itself() -> None:
    gallery = Gallery(NETWORK, people("A", "B"))
    more = gallery.with_people(people("C"))
    assert gallery.names == ("A", "B")
    assert more.names == ("A", "B", "C")
    assert more.people["A"] is gallery.people["A"]
    assert more.without_people("B", "nobody").names == ("A", "C")
    assert more.names == ("A", "B", "C")


class Bomb:
    """An object whose unpickling has a visible effect."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_the_bomb_goes_off_where_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "trace")))
    assert (tmp_path / "trace").exists()


def armed(path: Path, trace: Path) -> bytes:
    """Replace the payload of a gallery file by a bomb, and keep its header."""
    return path.read_bytes()[:HEADER] + pickle.dumps(Bomb(trace))


def test_a_poisoned_pickle_is_refused_unread(saved: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for poison in (pickle.dumps(Bomb(trace)), armed(saved, trace)):
        saved.write_bytes(poison)
        with pytest.raises(GalleryError):
            load_gallery(saved, NETWORK)
    joblib.dump(Bomb(trace), saved)
    with pytest.raises(GalleryError, match="not a gallery"):
        load_gallery(saved, NETWORK)
    assert not trace.exists()


class Unpickled(BaseException):
    """Raised instead of unpickling."""


@DISK
@given(data=st.data())
def test_damage_anywhere_is_refused_before_unpickling(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "G.joblib"
    Gallery(NETWORK, people("A", "B")).save(path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans(), label="truncate"):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joblib, "load", _explode)
        with pytest.raises(GalleryError) as refusal:
            load_gallery(path, NETWORK)
    assert "\n" not in str(refusal.value)


def _explode(_: object) -> None:
    raise Unpickled


def test_the_trap_of_the_damage_test_works(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "load", _explode)
    with pytest.raises(Unpickled):
        load_gallery(saved, NETWORK)


def test_another_network_a_later_version_and_a_missing_file_say_so(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="another embedding network"):
        load_gallery(saved, "another network")
    with pytest.raises(GalleryError, match="unblur enroll"):
        load_gallery(tmp_path / "none.joblib", NETWORK)
    content = bytearray(saved.read_bytes())
    content[len(b"unblur gallery\n")] = 9
    saved.write_bytes(content)
    with pytest.raises(GalleryError, match="later unblur"):
        load_gallery(saved, NETWORK)


def test_the_dump_names_no_module_of_ours(saved: Path) -> None:
    dump = saved.read_bytes()[HEADER:]
    assert b"sklearn" in dump
    assert not [room for room in (b"recognize", b"stream.", b"models", b"unblur") if room in dump]


def test_an_index_of_another_scikit_learn_is_fitted_anew(
    saved: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sklearn.base.__version__", "0.1")
    Gallery(NETWORK, people(*NAMES)).save(saved)
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gallery = load_gallery(saved, NETWORK)
    np.testing.assert_allclose(gallery.scores(gallery.people["👩‍🚀"].embeddings)[:, 2], 1, atol=1e-6)


def test_a_gallery_that_cannot_be_written_leaves_the_old_one(saved: Path, tmp_path: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(OutputError, match="cannot be written"):
        Gallery(NETWORK).save(tmp_path / "nowhere" / "G.joblib")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        Gallery(NETWORK).save(tmp_path / "folder")
    assert saved.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["G.joblib", "folder"]


def test_the_file_is_private(saved: Path) -> None:
    assert saved.stat().st_mode & 0o077 == 0


def test_a_gallery_from_before_former_names_were_kept_can_be_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def less(thing: Person) -> dict[str, object]:
        return {key: value for key, value in asdict(thing).items() if key != "former"}

    monkeypatch.setattr(people_gallery, "asdict", less)
    monkeypatch.setattr(people_gallery, "_VERSION", b"\x02")
    Gallery(NETWORK, people("Ann")).save(saved)
    monkeypatch.undo()
    assert load_gallery(saved, NETWORK).people["Ann"].former == ()


def test_a_person_has_photos() -> None:
    with pytest.raises(ValueError, match="n >= 1"):
        Person(np.empty((0, 128), np.float32))


def test_a_photo_is_called_by_its_embedding(saved: Path) -> None:
    there = load_gallery(saved, NETWORK)
    assert there.photos == Gallery(NETWORK, people(*NAMES)).photos
    assert len(there.photos) == 2 * len(NAMES)
    assert len(there.people["👩‍🚀"].photos) == 2


def test_the_gallery_lock_excludes_other_writers(saved: Path) -> None:
    second, order = threading.Event(), []

    def change() -> None:
        second.set()
        with gallery_lock(saved):
            order.append("second")

    thread = threading.Thread(target=change)
    with gallery_lock(saved):
        thread.start()
        assert second.wait(10)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_what_a_killed_writer_left_goes_with_the_next_change(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", _killed)
        killed.setattr(Path, "unlink", _killed)
        with pytest.raises(KeyboardInterrupt):
            people_gallery.write_private(saved, b"a name")
    other = saved.with_name(f".{saved.name}.of-mine")
    other.touch()
    (left,) = set(saved.parent.glob(f".{saved.name}.*")) - {other}
    assert left.read_bytes() == b"a name"
    with gallery_lock(saved):
        assert not left.exists()
        assert other.exists()
        assert saved.with_name(f".{saved.name}.lock").exists()


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_gallery_that_stays_locked_is_an_error(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_gallery, "_LOCK_TIMEOUT_S", 0.05)
    with (
        gallery_lock(saved),
        pytest.raises(OutputError, match="another program has been changing"),
        gallery_lock(saved),
    ):
        pass
