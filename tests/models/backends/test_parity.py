"""Every backend that can run here gives what ONNX Runtime gives: 1e-3 of the range for float32, a level for bytes.

The networks are a generated one with the deblurring network's contract, each that this project trained
(models/weights), and the two that are fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.backends.onnxruntime_backend import OnnxRuntime
from models.backends.openvino_backend import OpenVino
from models.backends.session import NetworkSession
from models.backends.torch_backend import TorchCuda
from models.errors import ModelError
from tests.conftest import REPOSITORY
from tests.models.support import networks

TRAINED = sorted((REPOSITORY / "models" / "weights").glob("*.onnx"))


@pytest.fixture(params=["generated", *TRAINED], ids=str)
def path(request: pytest.FixtureRequest, deblurring_path: Path) -> Path:
    return deblurring_path if request.param == "generated" else request.param


def _opened(open_session: Callable[[], NetworkSession]) -> NetworkSession:
    try:
        return open_session()
    except ModelError as error:
        pytest.skip(str(error))


def _openvino(path: Path) -> NetworkSession:
    return _opened(lambda: OpenVino(path, 1))


def _bf16(path: Path) -> NetworkSession:
    return _opened(lambda: OpenVino(path, 1, "bf16"))


def _torch(path: Path) -> NetworkSession:
    return _opened(lambda: TorchCuda(path, device="cpu"))


@pytest.mark.parametrize(("open_session", "levels"), [(_openvino, 1), (_torch, 1), (_bf16, 5)])
def test_restored_crops_are_the_same_to_a_level(
    path: Path, open_session: Callable[[Path], NetworkSession], levels: int
) -> None:
    session, reference = open_session(path), OnnxRuntime(path, 1)
    for count in (1, 5):
        crops = networks.inputs(count)
        (ours, kernels), (theirs, expected) = (each.run(*crops) for each in (session, reference))
        assert ours.dtype == np.uint8
        assert np.abs(ours.astype(int) - theirs).max() <= levels
        assert np.minimum(kernels, expected).sum((1, 2)).min() > 1 - levels / 100, "nearly the same light"


@pytest.mark.parametrize("open_session", [_openvino, _torch])
def test_the_fetched_networks_are_the_same_to_a_thousandth(
    sface_path: Path, yunet_path: Path, open_session: Callable[[Path], NetworkSession]
) -> None:
    random = np.random.default_rng(0)
    for path, shape in ((sface_path, (3, 3, 112, 112)), (yunet_path, (1, 3, 96, 128))):
        picture = random.uniform(0, 255, shape).astype(np.float32)
        ours, theirs = (each.run(picture) for each in (open_session(path), OnnxRuntime(path, 1)))
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max())


@pytest.mark.parametrize("open_session", [lambda path: OnnxRuntime(path, 1), _openvino, _torch, _bf16])
def test_a_crop_gives_the_same_whatever_its_neighbours(
    path: Path, open_session: Callable[[Path], NetworkSession]
) -> None:
    session = open_session(path)
    crops, others = networks.inputs(7, seed=1), networks.inputs(7, seed=2)
    among = [np.concatenate([ours[:1], theirs[1:]]) for ours, theirs in zip(crops, others, strict=True)]

    first = session.run(*crops)[0][0]
    np.testing.assert_array_equal(session.run(*among)[0][0], first)
    alone = session.run(*(rows[:1] for rows in crops))[0][0]
    assert np.abs(alone.astype(int) - first).max() <= 1


@pytest.mark.parametrize("open_session", [lambda path: OnnxRuntime(path, 1), _openvino, _torch])
def test_views_of_arrays_are_taken(path: Path, open_session: Callable[[Path], NetworkSession]) -> None:
    crops, hints, motion, others = networks.inputs(4)
    session = open_session(path)

    views = crops[::2, ..., ::-1], hints[::2, ::-1], motion[::2], others[::2]
    ours = session.run(*views)[0]
    copies = [np.ascontiguousarray(rows) for rows in views]
    np.testing.assert_array_equal(ours, session.run(*copies)[0])


@pytest.mark.parametrize("open_session", [lambda path: OnnxRuntime(path, 1), _openvino, _torch])
def test_what_the_network_does_not_take_is_one_line(path: Path, open_session: Callable[[Path], NetworkSession]) -> None:
    crops, hints, motion, others = networks.inputs(2)
    with pytest.raises(ModelError, match="cannot run the network") as raised:
        open_session(path).run(crops[:, :, :127], hints[:, :, :127], motion, others)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("open_session", [lambda path: OnnxRuntime(path, 1), _openvino, _torch])
def test_no_crops_give_none(path: Path, open_session: Callable[[Path], NetworkSession]) -> None:
    assert open_session(path).run(*networks.inputs(0))[0].shape == (0, 128, 128, 3)


def test_torch_refuses_what_is_no_network(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"broken\.onnx does not load in PyTorch"):
        TorchCuda(tmp_path / "broken.onnx", device="cpu")


def test_torch_without_a_gpu_says_so(deblurring_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx2pytorch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ModelError, match="finds no GPU that it can use"):
        TorchCuda(deblurring_path)
