"""`unblur fit`, end to end: from photos to a fitted embedder, a gallery and names; and its errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from configs.loader import load
from stream.storage.images import read_picture
from stream.values import Image
from unblur.assembly.components import Components
from unblur.cli import main

MakeConfig = Callable[..., Path]
PORTRAITS = {"Barack Obama": "obama2.jpg", "Joe Biden": "biden.jpg", "Eileen Collins": "astronaut.png"}


def variant(photo: Image, number: int) -> Image:
    """A small variant of a photo, mirrored if `number` is odd, darker with a larger `number`."""
    side = 480 * photo.shape[0] // photo.shape[1]
    small = cv2.resize(photo, (480, side), interpolation=cv2.INTER_AREA)[:, :: 1 - 2 * (number % 2)]
    return np.asarray(small * (1 - 0.1 * number), np.uint8)


@pytest.fixture(scope="module")
def faces(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people with four photos each, a photo without a face, and a truncated one."""
    folder = tmp_path_factory.mktemp("faces")
    for name, file in PORTRAITS.items():
        (folder / name).mkdir()
        for number in range(4):
            cv2.imwrite(str(folder / name / f"{name}-{number}.png"), variant(read_picture(portraits / file), number))
    cv2.imwrite(str(folder / "Joe Biden" / "wall.png"), np.full((200, 200, 3), 128, np.uint8))
    (folder / "Joe Biden" / "torn.png").write_bytes(b"torn")
    return folder


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    def write(**recognition: object) -> Path:
        path = tmp_path / "unblur.yaml"
        path.write_text(yaml.safe_dump({"recognition": recognition}), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("method", ["pca", "lda", "lpp"])
def test_people_are_named_by_an_embedder_fitted_to_them(
    method: str, faces: Path, make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted, gallery = tmp_path / "fitted.onnx", tmp_path / "G.joblib"
    assert main(["fit", str(faces), "--embedder", method, "--out", str(fitted)]) == 0
    assert f"{method} fitted to 12 of 14 photos, of 3 people, in {fitted}" in capsys.readouterr().err
    config = make_config(embedder=method, fitted=str(fitted), threshold=0.6)
    assert main(["enroll", str(faces), "--gallery", str(gallery), "--config", str(config)]) == 1, "torn.png"
    assert "near-duplicate" not in capsys.readouterr().err
    photos = [str(faces / name / f"{name}-1.png") for name in PORTRAITS]
    options = ["--out", str(tmp_path / "out"), "--gallery", str(gallery), "--config", str(config), "--deblur", "off"]
    assert main(["image", *photos, *options]) == 0
    faces_found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [face["name"] for face in faces_found] == list(PORTRAITS)


def test_the_file_is_private_and_of_no_other_gallery(
    faces: Path, make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted, gallery = tmp_path / "fitted.onnx", tmp_path / "G.joblib"
    assert main(["enroll", str(faces), "--gallery", str(gallery)]) == 1, "torn.png"
    assert main(["fit", str(faces), "--embedder", "pca", "--out", str(fitted)]) == 0
    assert fitted.stat().st_mode & 0o077 == 0
    config = make_config(embedder="pca", fitted=str(fitted), threshold=0.6)
    capsys.readouterr()
    assert main(["enroll", str(faces), "--gallery", str(gallery), "--config", str(config)]) == 2
    assert "made with another embedding network" in capsys.readouterr().err


def test_a_failed_fit_leaves_no_file(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(faces / "Joe Biden", alone / "Joe Biden")
    cases = [
        ([str(alone), "--out", str(tmp_path / "f.onnx")], "here are 1 people and 4 photos"),
        ([str(tmp_path / "none"), "--out", str(tmp_path / "f.onnx")], "is not a folder"),
        ([str(faces), "--out", str(tmp_path / "none" / "f.onnx")], "cannot be written"),
    ]
    for arguments, complaint in cases:
        assert main(["fit", *arguments, "--embedder", "lda"]) == 2
        errors = capsys.readouterr().err
        assert complaint in errors
        assert errors.count("\n") == 1
    assert not list(tmp_path.glob("**/*.onnx"))


@pytest.mark.slow  # FaceNet's 87 MB
def test_facenet_names_people(
    faces: Path, make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, gallery = make_config(embedder="facenet", threshold=0.7), tmp_path / "G.joblib"
    assert Components(load(config, {})).embedder.dimensions == 512
    assert main(["enroll", str(faces), "--gallery", str(gallery), "--config", str(config)]) == 1, "torn.png"
    capsys.readouterr()
    options = ["--out", str(tmp_path / "out"), "--gallery", str(gallery), "--config", str(config), "--deblur", "off"]
    assert main(["image", str(faces / "Joe Biden" / "Joe Biden-1.png"), *options]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "Joe Biden"


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is here")
def test_without_torch_the_fusion_cnn_names_the_extra(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(faces), "--embedder", "fusion-cnn", "--out", str(tmp_path / "fitted.onnx")]) == 2
    errors = capsys.readouterr().err
    assert "fusion-cnn needs the extra `train`" in errors
    assert "pip install 'unblur[train]'" in errors
