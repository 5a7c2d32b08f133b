"""The parity check detects a wrong backend, and survives one that crashes or hangs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.backends import parity_check
from models.backends.onnxruntime_backend import OnnxRuntime
from models.errors import ModelError
from tests.models.support import networks


def test_a_backend_that_runs_and_agrees_passes(deblurring_path: Path) -> None:
    parity_check.verify_in_subprocess("onnxruntime", deblurring_path)


def test_a_folder_of_the_same_name_where_the_user_stands_is_not_in_the_way(
    deblurring_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    parity_check.verify_in_subprocess("onnxruntime", deblurring_path)


def test_the_probe_is_the_same_each_time_and_fills_the_types_range(deblurring_path: Path) -> None:
    ports = OnnxRuntime(deblurring_path, 1).inputs
    first, second = parity_check.inputs(ports), parity_check.inputs(ports)

    assert [each.shape for each in first] == [(3, 128, 128, 3), (3, 128, 128, 3), (3, 2), (3, 128, 128, 6)]
    assert [each.dtype for each in first] == [np.uint8, np.uint8, np.float32, np.uint8]
    assert (first[0].min(), first[0].max()) == (0, 255)
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_network_with_other_weights_does_not_agree(deblurring_path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(networks.deblurring(seed=1))

    assert parity_check.compare(OnnxRuntime(other, 1), OnnxRuntime(deblurring_path, 1)) > parity_check.TOLERANCE
    assert parity_check.compare(OnnxRuntime(deblurring_path, 1), OnnxRuntime(deblurring_path, 1)) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        np.full((2, 3), np.nan, np.float32),
        np.full((2, 3), np.inf, np.float32),
        np.ones((2, 4), np.float32),
        np.ones((2, 3), np.float16),
    ],
    ids=["not a number", "infinite", "another shape", "another type"],
)
def test_outputs_that_are_no_answer_are_infinitely_far(
    wrong: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    assert parity_check.difference([wrong], [np.ones((2, 3), np.float32)]) == float("inf")


def test_the_error_of_a_backend_is_reported_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"broken\.onnx does not load in ONNX Runtime"):
        parity_check.verify_in_subprocess("onnxruntime", tmp_path / "broken.onnx")


def _library(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Code that `import tensorrt` runs in the subprocess of the check."""
    (folder / "tensorrt.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.usefixtures("with_stub_driver")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"^tensorrt crashed on a probe \(signal 11\)$"),
        (
            "import os, sys; print('no context', file=sys.stderr); os._exit(3)",
            r"^tensorrt failed on a probe with status 3: no context$",
        ),
    ],
    ids=["crash", "exit"],
)
def test_a_crash_of_a_library_ends_only_the_probe(
    code: str, message: str, deblurring_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _library(tmp_path, monkeypatch, code)
    with pytest.raises(ModelError, match=message):
        parity_check.verify_in_subprocess("tensorrt", deblurring_path)


@pytest.mark.usefixtures("with_stub_driver")
def test_a_probe_that_hangs_is_ended(deblurring_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _library(tmp_path, monkeypatch, "import threading\nthreading.Event().wait()")
    with pytest.raises(ModelError, match="did not answer a probe in 1 s"):
        parity_check.verify_in_subprocess("tensorrt", deblurring_path, patience_s=1)


def test_an_unknown_backend_is_refused_with_the_list_of_backends(deblurring_path: Path) -> None:
    with pytest.raises(ModelError, match="no backend is called 'abacus': there are tensorrt, "):
        parity_check.verify_in_subprocess("abacus", deblurring_path)
