"""Bad input: one line that says what is wrong, the right exit status, and nothing half-written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from PIL import Image

from unblur.cli import main

Make = Callable[[Path], list[str]]


def file(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def with_gallery(folder: Path, content: bytes) -> list[str]:
    picture = folder / "still.png"
    Image.new("RGB", (64, 64)).save(picture)
    return ["run", str(picture), "--gallery", file(folder, "people.joblib", content)]


def pickled(folder: Path) -> bytes:
    joblib.dump({"names": np.arange(3)}, folder / "theirs.joblib")
    return (folder / "theirs.joblib").read_bytes()


def twice(folder: Path) -> list[str]:
    Image.new("RGB", (64, 64)).save(folder / "still.png")
    return [f"door={folder / 'still.png'}"] * 2


CASES: dict[str, tuple[Make, str]] = {
    "no such file": (lambda f: ["run", str(f / "missing.mp4")], "no such file"),
    "not a video": (lambda f: ["run", file(f, "letter.mp4", b"Dear all, " * 99)], "letter.mp4"),
    "zero bytes": (lambda f: ["run", file(f, "empty.mp4", b"")], "empty"),
    "a folder without pictures": (lambda f: ["run", str(f)], "no pictures"),
    "no source": (lambda _: ["run"], "no source"),
    "an address that is none": (lambda _: ["run", "gopher://camera/1"], "gopher://"),
    "an RTSP server that refuses": (lambda _: ["run", "rtsp://me:s3cret@127.0.0.1:9/x"], "127.0.0.1"),
    "a camera that is not there": (lambda _: ["run", "/dev/video77"], "/dev/video77"),
    "an empty gallery": (lambda f: with_gallery(f, b""), "not a gallery"),
    "a pickle that is no gallery": (lambda f: with_gallery(f, pickled(f)), "not a gallery"),
    "an output of unknown kind": (lambda f: ["run", str(f), "--output", "film.avi"], "ending in .mp4"),
    "an unknown option": (lambda _: ["run", "--sharpen"], "--sharpen"),
    "the seed's preset with a network": (
        lambda _: ["run", "--deblur", "cnn", "--preset", "box5"],
        "box5 is Richardson-Lucy",
    ),
    "no such configuration": (lambda f: ["run", "--config", str(f / "none.yaml")], "none.yaml"),
    "an unknown key": (lambda f: ["run", "--config", file(f, "c.yaml", b"camras: []")], "camras: unknown key"),
    "5,000 brackets": (lambda f: ["run", "--config", file(f, "c.yaml", b"[" * 5000)], "within each other"),
    "an alias to itself": (lambda f: ["run", "--config", file(f, "c.yaml", b"cameras: &a [*a]")], "alias"),
    "a key twice": (lambda f: ["run", "--config", file(f, "c.yaml", b"pace: fast\npace: fast")], "twice"),
    "no cameras in a configuration": (lambda f: ["run", "--config", file(f, "c.yaml", b"cameras:")], "no source"),
    "1e9 days": (
        lambda f: [
            "forget",
            "--expired",
            "--log",
            file(f, "e.jsonl", b""),
            "--config",
            file(f, "c.yaml", b"retention: {events: {days: 1.0e+9}}"),
        ],
        "at most 36500",
    ),
    "no folder of faces": (lambda f: ["enroll", str(f / "none"), "--gallery", str(f / "g")], "not a folder"),
    "no log": (lambda f: ["events", "list", str(f / "none.jsonl")], "none.jsonl"),
    "not a picture": (lambda f: ["image", file(f, "a.jpg", b"JFIF"), "--out", str(f / "out")], "not a picture"),
    "a camera's option without a camera": (lambda f: ["run", "--shutter", "0.5"], "--shutter".strip("-")),
    "two cameras of one name": (lambda f: ["run", *twice(f)], "2 cameras are called 'door'"),
    "no benchmark data": (lambda f: ["bench", "--data", str(f)], "no folder val"),
    "no number of seconds": (lambda f: ["events", "list", "x", "--since", "nan"], "'nan' is no time"),
    "a time that is none": (lambda f: ["events", "list", "x", "--since", "noon"], "noon"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_in_one_line(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make, complaint = CASES[case]
    arguments = make(tmp_path)
    if arguments[0] == "run":
        arguments += ["--events", str(tmp_path / "events.jsonl")]
    assert main(arguments) == 2
    out, err = capfd.readouterr()
    errors = [line for line in err.splitlines() if line.startswith("unblur: ")]
    assert len(errors) == 1
    assert complaint in errors[0]
    assert "Traceback" not in err
    assert "s3cret" not in out + err
    assert not (tmp_path / "events.jsonl").exists()
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("option", ["--events", "--evidence", "--output", "--store"])
def test_an_output_that_cannot_be_written_is_refused(option: str, demo: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    target = str(tmp_path / "file" / "out.mp4")
    assert (
        main(["run", str(demo / "camera.mp4"), option, f"sqlite:///{target}" if option == "--store" else target]) == 2
    )


@pytest.mark.parametrize("option", ["--output", "--events"])
def test_an_input_is_not_overwritten(option: str, demo: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    shutil.copy(demo / "camera.mp4", clip)
    assert main(["run", str(clip), option, str(clip)]) == 2
    assert clip.read_bytes() == (demo / "camera.mp4").read_bytes()


def test_the_demo_does_not_clear_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    mine = tmp_path / "people" / "letter.txt"
    mine.parent.mkdir()
    mine.write_text("Dear Ann", encoding="utf-8")
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert mine.read_text(encoding="utf-8") == "Dear Ann"


@pytest.mark.parametrize(("width", "height"), [(1, 1), pytest.param(7680, 4320, marks=pytest.mark.slow)])
def test_pictures_of_any_size_are_watched(width: int, height: int, tmp_path: Path) -> None:
    Image.new("RGB", (width, height), "grey").save(tmp_path / "still.png")
    log = tmp_path / "events.jsonl"
    assert main(["run", "--quiet", str(tmp_path / "still.png"), "--events", str(log)]) == 0
    assert log.read_bytes() == b""


@pytest.mark.parametrize("name", ["Ann Lee", "Zoë & Søren", "محمد الأحمد", "😀", "a" * 80])
def test_any_name_can_be_enrolled_and_found(name: str, portraits: Path, tmp_path: Path) -> None:
    person = tmp_path / "faces" / name
    person.mkdir(parents=True)
    shutil.copy(portraits / "obama.jpg", person)
    gallery, log = tmp_path / "people.joblib", tmp_path / "events.jsonl"
    assert main(["enroll", str(tmp_path / "faces"), "--gallery", str(gallery)]) == 0
    shown = tmp_path / "shown"
    shown.mkdir()
    for number in range(6):
        shutil.copy(portraits / "obama2.jpg", shown / f"{number}.jpg")
    film = tmp_path / "film.mp4"
    arguments = [str(shown), "--gallery", str(gallery), "--events", str(log), "--output", str(film)]
    assert main(["run", "--quiet", *arguments]) == 0
    assert f'"name":"{name}"' in log.read_text(encoding="utf-8")


def test_a_person_without_a_usable_photo_is_reported_and_the_others_are_enrolled(
    portraits: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    faces = tmp_path / "faces"
    for name in ("Barack", "Wall"):
        (faces / name).mkdir(parents=True)
    shutil.copy(portraits / "obama.jpg", faces / "Barack")
    Image.new("RGB", (200, 200), "grey").save(faces / "Wall" / "wall.png")
    assert main(["enroll", str(faces), "--gallery", str(tmp_path / "people.joblib")]) == 1
    assert "Wall" in capfd.readouterr().err
    assert (tmp_path / "people.joblib").exists()
