"""Unusual image files, through the commands: all readable ones are read, the others are reported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from models.assets.fetch import fingerprint
from recognize.gallery.people_gallery import load_gallery
from tests.stream.storage.test_images import exif_jpeg
from unblur.cli import main


@pytest.fixture
def odd(tmp_path: Path, portraits: Path) -> Path:
    """A portrait that lies on its side, turned upright by EXIF, in which a text tag has a wrong type."""
    buffer = tmp_path / "plain.jpg"
    turned = Pillow.open(portraits / "obama.jpg").convert("RGB").transpose(Pillow.Transpose.ROTATE_90)
    turned.save(buffer, quality=90)
    plain, exif = buffer.read_bytes(), exif_jpeg([(0x0112, 3, 1, b"\6\0\0\0"), (0x0131, 12, 1, b"\x26\0\0\0")])
    buffer.unlink()
    length = int.from_bytes(exif[4:6], "big")
    path = tmp_path / "odd.jpg"
    path.write_bytes(plain[:2] + exif[2 : 4 + length] + plain[2:])
    return path


def test_an_invalid_exif_tag_breaks_no_command(
    odd: Path, tmp_path: Path, gallery: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faces" / "Obama").mkdir(parents=True)
    shutil.copy(odd, tmp_path / "faces" / "Obama")
    target = tmp_path / "odd.joblib"
    assert main(["enroll", str(tmp_path / "faces"), "--gallery", str(target)]) == 0
    assert load_gallery(target, fingerprint("sface")).names == ("Obama",)
    assert main(["image", str(odd), "--out", str(tmp_path / "out"), "--gallery", str(gallery)]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "Barack Obama"
    assert main(["run", str(odd), "--gallery", str(gallery), "--events", str(tmp_path / "e.jsonl")]) == 0
    assert '"Barack Obama"' in (tmp_path / "e.jsonl").read_text()


def test_unread_files_of_an_enrollment_are_listed_and_set_the_exit_status(
    tmp_path: Path, portraits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ann = tmp_path / "faces" / "Ann"
    for name in ("1.jpg", "4.jfif", "2024/5.jpg"):
        (ann / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(portraits / "obama.jpg", ann / name)
    Pillow.open(portraits / "obama2.jpg").save(ann / "6.avif")
    enroll = ["enroll", str(tmp_path / "faces"), "--gallery"]
    assert main([*enroll, str(tmp_path / "g.joblib")]) == 0
    assert "4 of 4 photos" in " ".join(capsys.readouterr().err.split())
    (ann / "7.nef").write_bytes(b"raw")
    (ann / "8.jpg").write_bytes(b"torn")
    assert main([*enroll, str(tmp_path / "g.joblib")]) == 1
    errors = capsys.readouterr().err
    assert f"passed over: {ann / '7.nef'}: is no picture by its name" in errors
    assert "8.jpg" in errors
    assert "not looked at: 2 files or folders" in errors
    assert len(load_gallery(tmp_path / "g.joblib", fingerprint("sface")).people["Ann"].embeddings) == 4


def test_an_unreadable_only_photo_is_reported_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faces" / "Ann").mkdir(parents=True)
    (tmp_path / "faces" / "Ann" / "1.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(12))
    assert main(["enroll", str(tmp_path / "faces"), "--gallery", str(tmp_path / "g.joblib")]) == 2
    assert "1.heic: unreadable" in capsys.readouterr().err


def test_only_the_first_image_of_an_animation_is_used_and_that_is_reported(
    tmp_path: Path, portraits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    portrait = Pillow.open(portraits / "obama.jpg").convert("RGB").resize((240, 300))
    (tmp_path / "faces" / "Ann").mkdir(parents=True)
    photo = tmp_path / "faces" / "Ann" / "a.webp"
    portrait.save(photo, save_all=True, append_images=[Pillow.new("RGB", (240, 300))])
    assert main(["enroll", str(tmp_path / "faces"), "--gallery", str(tmp_path / "g.joblib")]) == 0
    assert "only the first of its 2" in " ".join(capsys.readouterr().err.split())
    assert main(["image", str(photo), "--out", str(tmp_path / "out")]) == 0
    assert "only the first of its 2 pictures was taken" in capsys.readouterr().err


def test_both_visits_among_pictures_of_one_place_are_logged(tmp_path: Path, portraits: Path, gallery: Path) -> None:
    """Twelve pictures; a person is visible only in the fifth and the ninth."""
    rows, columns = np.mgrid[0:480, 0:640]
    wall = np.stack([120 + 40 * np.sin(columns / 37), 130 + 30 * np.sin(rows / 23), 110 + columns * 0], -1)
    portrait = Pillow.open(portraits / "obama.jpg").convert("RGB").resize((240, 300))
    (tmp_path / "pictures").mkdir()
    for index in range(12):
        picture = Pillow.fromarray(wall.astype(np.uint8))
        if index in {4, 8}:
            picture.paste(portrait, (200, 100))
        picture.save(tmp_path / "pictures" / f"{index:03}.png")
    for fps in ("25", "1"):
        log = tmp_path / f"{fps}.jsonl"
        run = ["run", str(tmp_path / "pictures"), "--gallery", str(gallery), "--fps", fps, "--events", str(log)]
        assert main(run) == 0
        began = [event for line in log.read_text().splitlines() if (event := json.loads(line))["type"] == "new"]
        assert [event["name"] for event in began] == ["Barack Obama", "Barack Obama"]


def test_a_camera_that_hangs_upside_down(tmp_path: Path, portraits: Path, gallery: Path) -> None:
    portrait = Pillow.open(portraits / "obama.jpg").convert("RGB").resize((480, 600))
    portrait.transpose(Pillow.Transpose.ROTATE_180).save(tmp_path / "a.png")
    camera = {"source": str(tmp_path / "a.png"), "rotate": 180}
    (tmp_path / "unblur.yaml").write_text(json.dumps({"cameras": [camera]}))
    log = tmp_path / "e.jsonl"
    run = ["run", "--config", str(tmp_path / "unblur.yaml"), "--gallery", str(gallery), "--events", str(log)]
    assert main(run) == 0
    assert '"Barack Obama"' in log.read_text()
