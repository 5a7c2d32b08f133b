"""`unblur image`: the seed paper's application on single pictures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from stream.storage.images import read_picture
from stream.values import Image
from unblur.cli import main


def small(portraits: Path, name: str) -> Image:
    """A portrait whose face is about as large as a crop."""
    picture = read_picture(portraits / name)
    scale = 480 / max(picture.shape)
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def develop(photo: Path, out: Path, *options: str) -> Image:
    assert main(["image", str(photo), "--out", str(out), *options]) == 0
    return read_picture(out / f"{photo.stem}.restored.png")


def test_a_face_is_named_with_its_description(
    portraits: Path, gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = portraits / "obama2.jpg"
    restored = develop(photo, tmp_path, "--gallery", str(gallery))
    (face,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (face["name"], face["description"]) == ("Barack Obama", "44th President of the United States")
    assert face["score"] > face["threshold"]
    original = read_picture(photo)
    assert np.array_equal(restored, original), "a sharp face is left alone"
    assert read_picture(tmp_path / "obama2.sheet.png").shape[1] > 2 * original.shape[1]


def test_a_blurred_face_comes_nearer_to_the_sharp_one(portraits: Path, tmp_path: Path) -> None:
    sharp = small(portraits, "astronaut.png")
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4)
    cv2.imwrite(str(tmp_path / "photo.png"), blurred)
    restored = develop(tmp_path / "photo.png", tmp_path / "out")
    assert restored.shape == sharp.shape
    assert cv2.PSNR(restored, sharp) > cv2.PSNR(blurred, sharp)


def test_the_seed_preset_undoes_the_papers_own_blur(portraits: Path, tmp_path: Path) -> None:
    sharp = read_picture(portraits / "obama2.jpg")
    blurred = cv2.blur(sharp, (5, 5))
    cv2.imwrite(str(tmp_path / "photo.png"), blurred)
    restored = develop(tmp_path / "photo.png", tmp_path / "out", "--preset", "box5")
    assert cv2.PSNR(restored, sharp) > cv2.PSNR(blurred, sharp) + 0.3
    changed = (restored != blurred).any(axis=2).mean()
    assert 0.02 < changed < 0.6, "only the face is touched"


@pytest.mark.parametrize("ending", ["gif", "webp", "tiff"])
def test_other_formats_are_read(ending: str, portraits: Path, tmp_path: Path) -> None:
    photo = tmp_path / f"photo.{ending}"
    Pillow.open(portraits / "biden.jpg").resize((300, 240)).save(photo)
    assert develop(photo, tmp_path / "out").shape == (240, 300, 3)


def test_a_broken_photo_does_not_keep_the_others_back(
    portraits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    assert main(["image", str(broken), str(portraits / "biden.jpg"), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "broken.jpg" in captured.err
    assert len(captured.out.splitlines()) == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"biden.restored.png", "biden.sheet.png"}


def test_two_photos_that_would_write_the_same_files_are_refused(portraits: Path, tmp_path: Path) -> None:
    for ending in ("jpg", "png"):
        Pillow.open(portraits / "biden.jpg").save(tmp_path / f"same.{ending}")
    assert main(["image", str(tmp_path / "same.jpg"), str(tmp_path / "same.png"), "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_name_is_beyond_an_encoding(encoding: str, portraits: Path, tmp_path: Path) -> None:
    """File names that are not UTF-8, too, and a gallery's names in any script."""
    photo = Path(os.fsdecode(os.fsencode(tmp_path) + "/Zoë 名\u0308 ".encode() + b"\xff.jpg"))
    shutil.copy(portraits / "obama2.jpg", photo)
    command = [
        sys.executable,
        "-m",
        "unblur",
        "image",
        str(photo),
        str(tmp_path / "名.jpg"),
        "--out",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=False)
    assert done.returncode == 2, done.stderr  # the second is not there
    (complaint,) = done.stderr.decode(encoding).splitlines()
    assert complaint.startswith("unblur: ")
    (face,) = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert face["photo"] == str(photo)
    assert (tmp_path / "o" / f"{photo.stem}.restored.png").is_file()
