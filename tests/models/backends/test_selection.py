from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import structlog
from onnx import helper

from models.backends import parity_check, selection
from models.backends.onnxruntime_backend import OnnxRuntime
from models.backends.selection import Backend, BackendName, ModelError, load
from models.backends.session import NetworkSession
from tests.models.support import networks

INSTALLED: list[Backend] = ["onnxruntime"]
if next(state for state in selection.backends() if state.name == "openvino").usable:
    INSTALLED.append("openvino")
ON_GPU: tuple[BackendName, ...] = ("tensorrt", "tensorrt-rtx", "cuda")


def _picture(seed: int, height: int = 96, width: int = 128) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(0, 255, (1, 3, height, width)).astype(np.float32)


def test_auto_without_a_gpu_is_onnx_runtime_and_says_why(yunet_path: Path, without_driver: None) -> None:
    with structlog.testing.capture_logs() as logs:
        assert load(yunet_path).backend == "onnxruntime"

    (entry,) = logs
    assert (entry["event"], entry["backend"], entry["network"]) == ("backend chosen", "onnxruntime", yunet_path.name)
    assert list(entry["passed_over"]) == list(ON_GPU)
    assert all("no CUDA driver here" in reason for reason in entry["passed_over"].values())


def test_the_runtime_sends_no_telemetry(yunet_path: Path, tmp_path: Path) -> None:
    load = "from models.backends.selection import load; load"
    code = f"{load}(__import__('pathlib').Path({str(yunet_path)!r}), 'onnxruntime')"
    kept = {
        name: value for name, value in os.environ.items() if name not in {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    }
    subprocess.run([sys.executable, "-c", code], env={**kept, "HOME": str(tmp_path)}, check=True)
    assert not list(tmp_path.iterdir()), "ONNX Runtime keeps what it would send in the user's cache"


@pytest.mark.parametrize("backend", INSTALLED)
def test_one_session_serves_many_threads_and_shapes(yunet_path: Path, backend: Backend) -> None:
    session = load(yunet_path, backend)
    pictures = [_picture(seed, 32 * (1 + seed % 3)) for seed in range(24)]
    alone = [session.run(picture) for picture in pictures]

    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(session.run, pictures))

    for one, other in zip(alone, together, strict=True):
        for ours, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_result_survives_the_next_call(yunet_path: Path) -> None:
    for backend in INSTALLED:
        session = load(yunet_path, backend)
        first = session.run(_picture(1))
        kept = [output.copy() for output in first]
        session.run(_picture(2))
        for output, copy in zip(first, kept, strict=True):
            np.testing.assert_array_equal(output, copy)


def test_openvino_agrees_with_onnx_runtime(yunet_path: Path, sface_path: Path) -> None:
    if "openvino" not in INSTALLED:
        pytest.skip("openvino is not installed")
    for path, batch in ((yunet_path, _picture(3)), (sface_path, _picture(4, 112, 112))):
        for ours, theirs in zip(load(path, "openvino").run(batch), load(path).run(batch), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_openvino_by_name_fails_loudly_where_it_is_absent(yunet_path: Path) -> None:
    imports = "import sys; from pathlib import Path; from models.backends.selection import load"
    code = f"{imports}; sys.modules['openvino'] = None; load(Path({str(yunet_path)!r}), 'openvino')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1].endswith("openvino is not installed: pip install 'unblur[openvino]'")


def _model(node: str, source: str = "x", opset: int = 21) -> bytes:
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(node, [source], ["y"])], "graph", values[:1], values[1:])
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString())


@pytest.mark.parametrize("backend", INSTALLED)
@pytest.mark.parametrize(
    "content",
    [b"", b"no network", _model("NoSuchOperator"), _model("Relu", source="nowhere")],
    ids=["empty", "garbage", "unknown operator", "broken graph"],
)
def test_a_file_that_does_not_load_is_one_clear_line(tmp_path: Path, content: bytes, backend: Backend) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)

    with pytest.raises(ModelError) as raised:
        load(path, backend)
    assert str(raised.value).startswith(f"{path} does not load in ")
    assert "\n" not in str(raised.value)


def test_a_truncated_network_and_a_later_opset_are_refused(tmp_path: Path, yunet_path: Path) -> None:
    path = tmp_path / "half.onnx"
    for content in (yunet_path.read_bytes()[:100_000], _model("Relu", opset=9999)):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"half\.onnx does not load"):
            load(path, "onnxruntime")


def test_a_missing_file_names_the_doctor(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="run `unblur doctor`"):
        load(tmp_path / "nothing.onnx")


def test_what_is_not_needed_is_not_imported(yunet_path: Path) -> None:
    loading = f"from pathlib import Path; from models.backends.selection import load; load(Path({str(yunet_path)!r}))"
    heavy = "{'openvino', 'torch', 'tensorrt', 'onnx', 'unearth', 'httpx2'}"
    code = f"import sys; {loading}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "set()"


def test_every_backend_is_reported_with_its_version_or_the_reason(without_driver: None) -> None:
    states = {state.name: state for state in selection.backends()}

    assert list(states) == ["tensorrt", "tensorrt-rtx", "cuda", "onnxruntime", "openvino", "openvino-bf16"]
    assert states["onnxruntime"].usable
    for name in ON_GPU:
        assert not states[name].usable
        assert "no CUDA driver here" in states[name].detail
    assert selection.choice(list(states.values())) == "onnxruntime"


@pytest.mark.parametrize("backend", ON_GPU)
def test_a_gpu_backend_by_name_fails_loudly_without_a_driver(
    deblurring_path: Path, without_driver: None, backend: Backend
) -> None:
    with pytest.raises(ModelError, match="no CUDA driver here"):
        load(deblurring_path, backend)


@pytest.mark.usefixtures("with_stub_driver")
def test_a_gpu_backend_that_is_not_installed_names_the_command(
    deblurring_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.backends.torch_backend.find_spec", lambda name: None)
    monkeypatch.setattr("models.backends.tensorrt_plans.find_spec", lambda name: None)
    for backend, command in zip(ON_GPU, ("tensorrt", "'unblur[tensorrt]'", "'unblur[cuda]'"), strict=True):
        with pytest.raises(ModelError, match=f"not installed: pip install {re.escape(command)}$"):
            load(deblurring_path, backend)


def test_the_next_backend_is_used_if_any_one_is_removed(
    deblurring_path: Path, with_stub_driver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every backend is replaced by ONNX Runtime under its name. All work at first; then one after the other is removed,
    each with its own reason."""
    for name in selection.NAMES:
        monkeypatch.setitem(selection._OPENERS, name, _named(name))
    for name in ON_GPU:
        monkeypatch.setitem(selection._ON_GPU, name, lambda: None)
    monkeypatch.setattr(parity_check, "verify_in_subprocess", lambda name, path: None)
    gone: dict[str, str] = {}
    for position, name in enumerate(selection.FALLBACK_ORDER):
        with structlog.testing.capture_logs() as logs:
            assert load(deblurring_path).backend == selection.FALLBACK_ORDER[position]
        assert logs[0]["passed_over"] == gone
        gone[name] = f"{name} is gone"
        monkeypatch.setitem(selection._OPENERS, name, _gone(name))

    with pytest.raises(ModelError, match=r"no backend runs .*: tensorrt: tensorrt is gone; .*openvino is gone$"):
        load(deblurring_path)


@pytest.mark.usefixtures("with_stub_driver")
def test_a_gpu_that_does_not_pass_the_probe_is_passed_over(
    deblurring_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disagrees(name: str, path: Path) -> None:
        raise ModelError(f"{name} differs from the CPU by 40.0% of the range on a probe")

    for name in ON_GPU:
        monkeypatch.setitem(selection._ON_GPU, name, lambda: None)
    monkeypatch.setattr(parity_check, "verify_in_subprocess", disagrees)
    with structlog.testing.capture_logs() as logs:
        assert load(deblurring_path).backend == "onnxruntime"
    assert all("differs from the CPU" in reason for reason in logs[0]["passed_over"].values())
    with pytest.raises(ModelError, match="cuda differs from the CPU"):
        load(deblurring_path, "cuda")


@pytest.mark.usefixtures("with_stub_driver")
def test_a_driver_that_crashes_leaves_the_cpu(
    deblurring_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(selection, "FALLBACK_ORDER", ("tensorrt", "onnxruntime"))

    with structlog.testing.capture_logs() as logs:
        assert load(deblurring_path).backend == "onnxruntime"
    assert logs[0]["passed_over"] == {"tensorrt": "tensorrt crashed on a probe (signal 11)"}


def test_a_network_that_no_backend_runs_is_one_error_that_names_each(tmp_path: Path, without_driver: None) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelError) as raised:
        load(path)
    assert all(f"{name}: " in str(raised.value) for name in selection.FALLBACK_ORDER)
    assert "\n" not in str(raised.value)


def test_weights_whose_hash_differs_are_refused(deblurring_path: Path, tmp_path: Path) -> None:
    expected = hashlib.sha256(deblurring_path.read_bytes()).hexdigest()
    other = tmp_path / "other.onnx"
    other.write_bytes(networks.deblurring(seed=1))

    assert load(deblurring_path, sha256=expected).run(*networks.inputs(1))
    with pytest.raises(
        ModelError, match=r"other\.onnx is not the network that is expected \(sha256 differs\): refused"
    ):
        load(other, sha256=expected)


def _named(name: str) -> Callable[[Path, int], NetworkSession]:
    def opened(path: Path, threads: int) -> NetworkSession:
        session = OnnxRuntime(path, threads)
        session.backend = name
        return session

    return opened


def _gone(name: str) -> Callable[[Path, int], NetworkSession]:
    def opened(path: Path, threads: int) -> NetworkSession:
        raise ModelError(f"{name} is gone")

    return opened
