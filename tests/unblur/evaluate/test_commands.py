"""The commands, from the arguments to the output folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unblur.evaluate.conftest import pack
from unblur.cli import main

pytest.importorskip("matplotlib", reason="needs the extra `evaluate`")
PNG = b"\x89PNG"


def rows(out: Path, table: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    content = json.loads((out / "table.json").read_text(encoding="utf-8"))
    return {(row["blur"], row["method"]): row for row in content["tables"][table]["rows"]}


def test_restore(data: Path, deblurring_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "out"
    options = ["--condition", "none", "--condition", "line19", "--seed", "3", "--network", str(deblurring_path)]
    options += ["--backend", "onnxruntime"]
    assert main(["evaluate", "restore", "--data", str(data), "--out", str(out), *options]) == 0
    found = rows(out)
    assert found["line19", "oracle"]["psnr_gain"]["low"] > 2
    assert found["line19", "richardson-lucy, motion known"]["ssim_gain"]["value"] > 0
    assert found["none", "richardson-lucy 5x5"]["psnr_gain"]["high"] < -5
    assert ("none", "richardson-lucy, motion known") not in found
    assert ("line19", "cnn") in found
    assert ("line19", "cnn, motion known") in found
    digest = hashlib.sha256(deblurring_path.read_bytes()).hexdigest()[:12]
    assert f"deblurring.onnx (sha256 {digest}), run by onnxruntime" in (out / "table.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == (out / "table.md").read_text(encoding="utf-8")
    plots = {"gain.png", "sheet-none.png", "sheet-line19.png"}
    assert {path.name for path in out.iterdir()} == {"table.md", "table.json", *plots}
    assert all((out / name).read_bytes().startswith(PNG) for name in plots)


@pytest.mark.slow
def test_same_seed_gives_the_same_table(data: Path, deblurring_path: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        options = ["--condition", "traj13", "--every", "2", "--network", str(deblurring_path)]
        assert main(["evaluate", "restore", "--data", str(data), "--out", str(tmp_path / name), *options]) == 0
    assert (tmp_path / "one/table.md").read_text() == (tmp_path / "two/table.md").read_text()


@pytest.mark.slow
def test_identify(data: Path, deblurring_path: Path, tmp_path: Path) -> None:
    options = ["--condition", "none", "--condition", "line13", "--alignment", "both", "--network", str(deblurring_path)]
    assert main(["evaluate", "identify", "--data", str(data), "--out", str(tmp_path), *options]) == 0
    tracked, own = rows(tmp_path), rows(tmp_path, 1)
    assert tracked["none", "raw"]["rank1"]["value"] == 1
    assert tracked["none", "raw"]["fpir"]["value"] == 0
    assert tracked["line13", "oracle"]["dir"]["value"] == 1
    assert tracked["none", "richardson-lucy, dual"]["lost"] == 0
    assert tracked["none", "cnn, dual"]["lost"] == 0
    assert ("line13", "cnn, motion known, dual") in tracked
    assert tracked.keys() == own.keys()
    assert {path.stem for path in tmp_path.glob("*.png")} == {
        f"{plot}-{alignment}{blur}"
        for alignment in ("sharp", "blurred")
        for plot, blur in (("dir-fpir", ""), ("sheet", "-none"), ("sheet", "-line13"))
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["restore", "--condition", "blurry"], "no condition is called 'blurry'"),
        (["identify", "--method", "magic"], "no method is called 'magic'"),
        (["identify", "--judge", "nobody"], "nobody"),
        (["restore", "--every", "0"], "every"),
        (["identify", "--network", "none.onnx"], "none.onnx"),
    ],
)
def test_a_bad_option_prints_one_line_and_writes_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    out = tmp_path / "out"
    assert main(["evaluate", arguments[0], "--data", str(data), "--out", str(out), *arguments[1:]]) == 2
    message = capsys.readouterr().err
    assert complaint in message
    assert message.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("command", ["restore", "identify"])
def test_a_network_that_does_not_load_fails_before_anything_is_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    broken, out = tmp_path / "broken.onnx", tmp_path / "out"
    broken.write_bytes(b"no network")
    options = ["--network", str(broken), "--backend", "onnxruntime"]
    assert main(["evaluate", command, "--data", str(data), "--out", str(out), *options]) == 2
    assert "broken.onnx does not load in ONNX Runtime" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("command", ["restore", "identify"])
def test_a_network_that_is_no_deblurring_network_fails_before_anything_is_written(
    data: Path, sface_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    options = ["--out", str(tmp_path / "out"), "--network", str(sface_path)]
    assert main(["evaluate", command, "--data", str(data), *options]) == 2
    assert "is no deblurring network: it takes data" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_photograph_that_is_too_small_is_reported(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data / "kernels", tmp_path / "kernels")
    pack(tmp_path / "test/ffhq192.tar", {"small.jpg": np.zeros((130, 100, 3), np.uint8)})
    options = ["--out", str(tmp_path / "out"), "--method", "oracle"]
    assert main(["evaluate", "restore", "--data", str(tmp_path), *options]) == 2
    assert "is 100 x 130: sides of 128 are needed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["restore", "identify"])
def test_a_folder_without_data_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main(["evaluate", command, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "cannot read the measured kernels" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
