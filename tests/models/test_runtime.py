from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from models import runtime
from models.runtime import Backend, ModelError, load

INSTALLED: list[Backend] = ["onnxruntime"]
if next(state for state in runtime.backends() if state.name == "openvino").usable:
    INSTALLED.append("openvino")


def _picture(seed: int, height: int = 96, width: int = 128) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(0, 255, (1, 3, height, width)).astype(np.float32)


def test_auto_is_onnx_runtime_whatever_is_installed(yunet_path: Path) -> None:
    assert load(yunet_path).backend == "onnxruntime"


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
    absent = "import sys; from pathlib import Path; from models.runtime import load; sys.modules['openvino'] = None"
    code = f"{absent}; load(Path({str(yunet_path)!r}), 'openvino')"
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
            load(path)


def test_a_missing_file_names_the_doctor(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="run `unblur doctor`"):
        load(tmp_path / "nothing.onnx")


def test_what_is_not_needed_is_not_imported(yunet_path: Path) -> None:
    loading = f"from pathlib import Path; from models.runtime import load; load(Path({str(yunet_path)!r}))"
    heavy = "{'openvino', 'torch', 'tensorrt', 'onnx', 'unearth', 'httpx2'}"
    code = f"import sys; {loading}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_every_backend_is_reported_with_its_version_or_the_reason() -> None:
    states = {state.name: state for state in runtime.backends()}

    assert list(states) == ["onnxruntime", "openvino", "tensorrt", "tensorrt-rtx", "cuda"]
    assert states["onnxruntime"].usable
    for name in ("tensorrt", "tensorrt-rtx", "cuda"):
        assert not states[name].usable
        assert states[name].detail in {"not installed", "installed, not used yet by this version"}
