from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES
from pathlib import Path

import pytest

from recognize.gallery.photo_folders import scan
from stream.errors import UsageError


def test_pictures_are_taken_in_order_and_the_rest_passed_over(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "about.txt", "c.docx"):
        (tmp_path / "Zoë").mkdir(exist_ok=True)
        (tmp_path / "Zoë" / name).write_text(" says\nthis ")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "stray.jpg").touch()
    (folder,) = scan(tmp_path).people
    assert folder.name == "Zoë"
    assert [photo.name for photo in folder.photos] == ["a.JPG", "b.png"]
    assert folder.description == "says\nthis"


def test_subfolders_of_a_person_are_read(tmp_path: Path) -> None:
    for name in ("Ann/1.jpg", "Ann/2024/5.jfif", "Ann/2024/may/6.HEIC"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    result = scan(tmp_path)
    assert [str(photo.relative_to(tmp_path)) for photo in result.people[0].photos] == [
        "Ann/1.jpg",
        "Ann/2024/5.jfif",
        "Ann/2024/may/6.HEIC",
    ]
    assert not result.passed_over


def test_system_files_are_ignored(tmp_path: Path) -> None:
    left: tuple[str, ...] = (
        "@eaDir/Ann/1.jpg",
        "#recycle/1.jpg",
        "$RECYCLE.BIN/1.jpg",
        "__MACOSX/Ann/._1.jpg",
        "lost+found/1.jpg",
    )
    left += ("System Volume Information/1.jpg", "Ann/._1.jpg", "Ann/.DS_Store", "Ann/Thumbs.db", "Ann/@eaDir/1.jpg")
    for name in (*left, "Thumbs.db", "Ann/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    result = scan(tmp_path)
    assert [(person.name, len(person.photos)) for person in result.people] == [("Ann", 1)]
    assert not result.passed_over


def test_whatever_else_is_not_read_is_named(tmp_path: Path) -> None:
    for name in ("Ann/1.jpg", "Ann/2.nef", "Ann/notes.txt", "stray.jpg", "elsewhere/3.jpg"):
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).touch()
    (tmp_path / "faces" / "Ann" / "more").symlink_to(tmp_path / "faces" / "elsewhere")
    (tmp_path / "faces" / "Ann" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    said = [f"{each.path.name}: {each.why}" for each in scan(tmp_path / "faces").passed_over]
    assert sorted(said) == [
        "2.nef: is no picture by its name",
        "gone.jpg: leads to no file",
        "more: is a link to a folder",
        "stray.jpg: lies outside the people's folders",
    ]


@pytest.mark.parametrize("locked", ["Bob", "Ann/2024"])
def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_read(
    tmp_path: Path, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Ann/1.jpg", "Ann/2024/2.jpg", "Bob/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with unreadable(tmp_path / locked, monkeypatch):
        result = scan(tmp_path)
    (passed,) = result.passed_over
    assert passed.path == tmp_path / locked
    assert passed.why == "cannot be read (Permission denied)"
    assert [len(person.photos) for person in result.people] == ([2] if locked == "Bob" else [1, 1])


@contextmanager
def unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse a folder as mode 000 does for all users but root; for root the call itself is replaced."""
    real = os.scandir

    def refused(path: str | Path) -> object:
        if Path(path) == folder:
            raise PermissionError(EACCES, "Permission denied", str(folder))
        return real(path)

    folder.chmod(0)
    with monkeypatch.context() as patched:
        if os.geteuid() == 0:
            patched.setattr(os, "scandir", refused)
            patched.setattr(os, "listdir", lambda path: [each.name for each in os.scandir(path)])
        yield
    folder.chmod(0o700)


def test_the_digest_changes_with_whatever_is_read(tmp_path: Path) -> None:
    photo = tmp_path / "A" / "1.jpg"
    photo.parent.mkdir()
    digests = []
    for change in (photo.touch, lambda: photo.write_bytes(b"x"), (photo.parent / "about.txt").touch):
        change()
        digests.append(scan(tmp_path).people[0].digest())
    (photo.parent / "about.txt").write_text("a singer")
    digests.append(scan(tmp_path).people[0].digest())
    assert digests[0] != digests[1] == digests[2] != digests[3]


def test_what_is_not_a_folder_of_folders_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        scan(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no folders"):
        scan(tmp_path)


def test_one_name_encoded_twice_is_refused(tmp_path: Path) -> None:
    for name in ("Zo\u00eb", "Zoe\u0308"):
        (tmp_path / name).mkdir(exist_ok=True)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system holds such names to be one")
    with pytest.raises(UsageError, match="2 folders that all read 'Zo\u00eb'"):
        scan(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"), [("unknown", "the search uses this word itself"), ("\u202eAnn", "U+202E"), ("\u200b", "U+200B")]
)
def test_a_folder_without_a_valid_name_is_reported(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "Ann").mkdir()
    (tmp_path / name).mkdir()
    result = scan(tmp_path)
    assert [person.name for person in result.people] == ["Ann"]
    assert [words in each.why for each in result.passed_over] == [True]


def test_a_description_with_control_characters_is_reported(tmp_path: Path) -> None:
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "about.txt").write_text("a singer\n\x1b]0;title\x07")
    result = scan(tmp_path)
    assert result.people[0].description is None
    assert ["U+001B" in each.why for each in result.passed_over] == [True]
