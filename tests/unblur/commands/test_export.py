"""`unblur export`: the files it writes, and what it prints."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.assets import manifest
from models.assets.manifest import Trained
from models.backends import tensorrt_plans
from models.backends.onnxruntime_backend import OnnxRuntime
from models.errors import ModelError
from models.weight_compression import compress_weights
from tests.models.support import networks
from unblur.cli import main


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "face.onnx"
    path.write_bytes(networks.deblurring())
    return path


def test_both_precisions_are_written_and_run(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["export", "--network", str(network), "--out", str(out)]) == 0

    output = capsys.readouterr().out
    assert "float16, dynamic batch; differs from float32 by at most 0." in output
    crops = networks.inputs(5)
    whole, half = (OnnxRuntime(out / f"face-{kind}.onnx", 1).run(*crops)[0].astype(int) for kind in ("fp32", "fp16"))
    assert np.abs(whole - half).max() <= 1


def test_weights_that_are_packed_on_disk_are_written_in_full(network: Path, tmp_path: Path) -> None:
    onnx.save(compress_weights(onnx.load_from_string(networks.deblurring(width=32))), network)
    assert main(["export", "--network", str(network), "--out", str(tmp_path)]) == 0
    kinds = {weights.data_type for weights in onnx.load(tmp_path / "face-fp32.onnx").graph.initializer}
    assert onnx.TensorProto.FLOAT in kinds
    assert onnx.TensorProto.FLOAT16 not in kinds


def test_a_trained_network_is_exported_only_if_it_is_the_pinned_file(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    monkeypatch.setattr(manifest, "WEIGHTS", tmp_path)
    monkeypatch.setattr(manifest, "trained", lambda: (Trained("face", "a test", "none", digest, 0),))
    assert main(["export", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/face-fp16.onnx").is_file()

    network.write_bytes(networks.deblurring(seed=1))
    assert main(["export", "--out", str(tmp_path / "none")]) == 2
    assert "not the file that was pinned" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_plan_is_written_if_tensorrt_is_installed_and_reported_as_not_run_without_a_gpu(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.backends.nvidia_driver.LIBRARY", "libcuda-that-is-not-here.so")
    assert main(["export", "--network", str(network), "--out", str(tmp_path)]) == 0

    output = capsys.readouterr().out
    try:
        tensorrt_plans.require_installed("tensorrt-rtx")
    except ModelError:
        assert "no plan of tensorrt-rtx: tensorrt-rtx is not installed: pip install 'unblur[tensorrt]'" in output
        assert not list(tmp_path.glob("*.plan"))
    else:
        assert (tmp_path / "face-tensorrt-rtx.plan").stat().st_size > 1000
        assert "all heavy layers in half precision; never run on a GPU: no CUDA driver here" in output


def _fixed(network: Path) -> Path:
    model = onnx.load(network)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, network)
    return network


def test_bad_input_is_one_line_and_nothing_is_written(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    garbage, out = tmp_path / "garbage.onnx", tmp_path / "out"
    garbage.write_bytes(b"no network")
    for path, complaint in (
        (tmp_path / "nothing.onnx", "does not exist"),
        (garbage, "does not load in ONNX Runtime"),
        (_fixed(network), "the first axis of crops, hints, motion, others is not free: export it with a dynamic batch"),
    ):
        assert main(["export", "--network", str(path), "--out", str(out)]) == 2
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
    assert not out.exists()


def test_a_file_in_place_of_the_folder_is_an_error(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("in the way")
    assert main(["export", "--network", str(network), "--out", str(tmp_path / "out")]) == 2
    assert f"cannot write to {tmp_path / 'out'}: " in capsys.readouterr().err
