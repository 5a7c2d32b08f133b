"""`unblur train` from archives of photos to a network that runs; what needs torch skips without it."""

from __future__ import annotations

import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.backends.selection import load
from stream.errors import UsageError
from stream.storage.images import read_picture
from unblur.cli import main
from unblur.commands.train import read_recipe

SMALL = ("batch=8", "workers=0", "threads=1", "net.widths=[8, 16]", "net.blocks=[1, 1]", "loss.identity_from=0.5")


@pytest.fixture(scope="module")
def data(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as training wants it, with four photos to learn from and one to choose by."""
    folder = tmp_path_factory.mktemp("data")
    for place, names in (("train/photos.tar", ("obama", "obama2", "obama3", "biden")), ("val/lfw160.tar", ("biden",))):
        (folder / place).parent.mkdir()
        with tarfile.open(folder / place, "w") as tar:
            for name in names:
                tar.add(_photo(portraits / f"{name}.jpg", folder), f"{name}/1.jpg")
    return folder


def _photo(portrait: Path, folder: Path) -> Path:
    picture = read_picture(portrait)
    side = min(picture.shape[:2])
    cv2.imwrite(str(folder / portrait.name), cv2.resize(picture[:side, :side], (160, 160)))
    return folder / portrait.name


def _options(*settings: str) -> Iterator[str]:
    for setting in (*SMALL, *settings):
        yield from ("--set", setting)


def test_training_writes_a_network(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="training needs the extra `train`")
    command = ["train", "--data", str(data), "--out", str(tmp_path), *_options("crops=48", "check_every=24")]
    assert main(command) == 0
    file = Path(capsys.readouterr().out.strip())
    crops = np.zeros((2, 128, 128, 3), np.uint8)
    assert load(file, "onnxruntime").run(crops, crops, np.zeros((2, 2), np.float32))[0].shape == crops.shape
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_an_interrupted_run_can_be_resumed(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs the extra `train`")
    endless = [sys.executable, "-m", "unblur", "train", "--data", str(data), "--out", str(tmp_path)]
    endless += _options("crops=1000000", "check_every=8")
    with subprocess.Popen(endless, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        step_line = next(line for line in process.stderr if "crops" in line and "gain" in line)
        process.send_signal(signal.SIGINT)
        message = process.stderr.read()
    assert process.returncode == 130
    assert "the same command goes on from there" in message
    assert step_line
    checkpoint = tmp_path / "checkpoint.pt"
    assert checkpoint.exists()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["crops=-1"], "crops: must be more than 0"),
        (["nett.kind=unet"], "nett: unknown key"),
        (["crops"], "--set takes KEY=VALUE, not 'crops'"),
        (["phases=[{until: 0.5}]"], "the last at 1"),
        (["crops.x=3", "crops.x.y=4"], "x holds no keys"),
        (["crops=[1"], "'[1' is not YAML"),
        (["crops=1e30"], "crops: must be"),
        (["rate=.inf"], "rate: must be a finite number"),
        (["phases=" + "[" * 5000], "within each other"),
    ],
)
def test_an_invalid_recipe_is_reported(overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipe(None, overrides)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["unet", "two_scale", "seed", "beside"])
def test_the_recipes_that_come_with_unblur_are_read(name: str) -> None:
    assert read_recipe(Path(__file__).parents[3] / f"configs/train/{name}.yaml").crops > 0


def test_a_recipe_that_is_not_yaml_is_reported(tmp_path: Path) -> None:
    for content, message in ((b"\xff\xfe\x00", "is not YAML"), (b"- unet", "is not a list of keys")):
        (tmp_path / "recipe.yaml").write_bytes(content)
        with pytest.raises(UsageError, match=message):
            read_recipe(tmp_path / "recipe.yaml")


def test_an_out_that_is_a_file_is_bad_input(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="training needs the extra `train`")
    (tmp_path / "out").write_text("here already")
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert "cannot be the folder of the run" in capfd.readouterr().err


def test_a_missing_recipe_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the recipe"):
        read_recipe(tmp_path / "none.yaml")


def test_a_folder_without_archives_is_bad_input(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="training needs the extra `train`")
    out = tmp_path / "out"
    assert main(["train", "--data", str(tmp_path), "--out", str(out)]) == 2
    assert "no archive of photos" in capfd.readouterr().err
    assert not out.exists()


def test_without_torch_the_install_command_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if find_spec("torch"):
        pytest.skip("torch is installed")
    assert main(["train", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'unblur[train]'" in capfd.readouterr().err
