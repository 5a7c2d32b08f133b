from __future__ import annotations

from pathlib import Path

import pytest

from recognize.folder import folders
from stream.errors import UsageError


def test_pictures_are_taken_in_order_and_the_rest_passed_over(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "about.txt", "c.docx"):
        (tmp_path / "Zoë").mkdir(exist_ok=True)
        (tmp_path / "Zoë" / name).write_text(" says\nthis ")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "stray.jpg").touch()
    (folder,) = folders(tmp_path)
    assert folder.name == "Zoë"
    assert [photo.name for photo in folder.photos] == ["a.JPG", "b.png"]
    assert folder.description == "says\nthis"


def test_the_digest_changes_with_whatever_is_read(tmp_path: Path) -> None:
    photo = tmp_path / "A" / "1.jpg"
    photo.parent.mkdir()
    digests = []
    for change in (photo.touch, lambda: photo.write_bytes(b"x"), (photo.parent / "about.txt").touch):
        change()
        digests.append(folders(tmp_path)[0].digest())
    (photo.parent / "about.txt").write_text("a singer")
    digests.append(folders(tmp_path)[0].digest())
    assert digests[0] != digests[1] == digests[2] != digests[3]


def test_what_is_not_a_folder_of_folders_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        folders(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no folders"):
        folders(tmp_path)


def test_one_name_encoded_twice_is_refused(tmp_path: Path) -> None:
    for name in ("Zo\u00eb", "Zoe\u0308"):
        (tmp_path / name).mkdir(exist_ok=True)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system holds such names to be one")
    with pytest.raises(UsageError, match="2 folders that all read 'Zo\u00eb'"):
        folders(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [("unknown", "unknown names nobody: .* the search"), ("\u202eAnn", r"U\+202E"), ("\u200b", r"U\+200B: rename it")],
)
def test_a_folder_is_called_what_somebody_can_be_called(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "Ann").mkdir()
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match=words) as refused:
        folders(tmp_path)
    assert str(refused.value).isprintable()


def test_what_is_said_of_somebody_is_text(tmp_path: Path) -> None:
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "about.txt").write_text("a singer\n\x1b]0;title\x07")
    with pytest.raises(UsageError, match=r"about.txt: a description is text: .* U\+001B"):
        folders(tmp_path)
