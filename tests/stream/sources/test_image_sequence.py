from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image as Pillow

from stream.errors import DamagedSourceError, SourceError
from stream.sources.factory import open_source
from stream.sources.image_sequence import ImageSequence
from stream.sources.recorded import PlaybackOptions
from stream.values import Frame


def save(folder: Path, *names: str) -> None:
    for name in names:
        shade = int("".join(filter(str.isdigit, name)))
        Pillow.new("RGB", (8 + shade, 8), (shade, shade, shade)).save(folder / name)


def shades(frames: list[Frame]) -> list[int]:
    return [int(frame.image[0, 0, 0]) for frame in frames]


def test_a_folder_plays_in_natural_order_whatever_the_sizes(tmp_path: Path) -> None:
    save(tmp_path, "img10.png", "img2.png", "img1.bmp")
    (tmp_path / "notes.txt").write_text("not a picture")
    source = open_source(str(tmp_path), playback=PlaybackOptions(fps=Fraction(10)))
    frames = list(source.frames())
    assert shades(frames) == [1, 2, 10]
    assert [frame.pts_s for frame in frames] == pytest.approx([0, 0.1, 0.2])
    assert [frame.image.shape for frame in frames] == [(8, 9, 3), (8, 10, 3), (8, 18, 3)]
    assert source.camera == tmp_path.name


def test_a_glob_plays_what_it_matches(tmp_path: Path) -> None:
    save(tmp_path, "a1.png", "a2.png", "b3.png")
    assert shades(list(open_source(f"{tmp_path}/a*.png").frames())) == [1, 2]


def test_one_picture_plays(tmp_path: Path) -> None:
    save(tmp_path, "face7.png")
    source = open_source(str(tmp_path / "face7.png"))
    assert (source.camera, shades(list(source.frames()))) == ("face7", [7])


def test_a_part(tmp_path: Path) -> None:
    save(tmp_path, *(f"{index}.png" for index in range(10)))
    source = open_source(str(tmp_path), playback=PlaybackOptions(fps=Fraction(2), from_s=1.0, to_s=2.5))
    assert shades(list(source.frames())) == [2, 3, 4]


def test_unreadable_pictures_are_counted_and_named_after_the_rest(tmp_path: Path) -> None:
    save(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "2.png").write_bytes(b"broken")
    frames: list[Frame] = []
    with pytest.raises(DamagedSourceError, match=r"1 of 3 pictures could not be read.*2\.png"):
        frames.extend(open_source(str(tmp_path)).frames())
    album = ImageSequence("a", [tmp_path / f"{index}.png" for index in (1, 2, 3)], Fraction(25))
    assert album.frames == 3
    source = open_source(str(tmp_path)).frames()
    assert shades([next(source), next(source)]) == [1, 3]


def test_what_systems_leave_in_a_folder_takes_no_time(tmp_path: Path) -> None:
    """A Mac's `._*` beside each picture, a NAS's thumbnails, and a bin."""
    save(tmp_path, "1.png", "2.png")
    for name in (
        "._1.png",
        "._2.png",
        ".DS_Store",
        "Thumbs.db",
        "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg",
        "#recycle/3.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")
    for spec in (str(tmp_path), f"{tmp_path}/**/*.*"):
        frames = list(open_source(spec, playback=PlaybackOptions(fps=Fraction(10))).frames())
        assert [frame.pts_s for frame in frames] == pytest.approx([0, 0.1])


def test_whatever_else_is_not_looked_at_is_named_at_the_end(tmp_path: Path) -> None:
    save(tmp_path, "1.png")
    (tmp_path / "2024").mkdir()
    (tmp_path / "film.mp4").touch()
    Pillow.new("RGB", (8, 8)).save(tmp_path / "2.gif", save_all=True, append_images=[Pillow.new("RGB", (8, 8), "red")])
    frames: list[Frame] = []
    words = r"2\.gif: only the first of its 2 pictures was taken; not looked at: 2024, film\.mp4"
    with pytest.raises(DamagedSourceError, match=words):
        frames.extend(open_source(str(tmp_path)).frames())
    assert len(frames) == 2


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no pictures"):
        open_source(str(tmp_path))


def test_a_single_file_that_is_no_picture_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"broken")
    with pytest.raises(SourceError, match=r"a\.jpg: not a picture"):
        open_source(str(tmp_path / "a.jpg"))
