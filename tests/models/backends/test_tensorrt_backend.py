"""TensorRT sessions on an emulated GPU; and the real library up to the point where it needs a GPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from models.backends import selection, tensorrt_plans
from models.backends.onnxruntime_backend import OnnxRuntime
from models.backends.tensorrt_backend import GRAPHS, TensorRtSession
from models.errors import ModelError
from tests.models.support import networks
from tests.models.support.emulator import Gpu, install


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, with_stub_driver: None) -> Gpu:
    """An emulated GPU whose plans are the half-precision graphs themselves."""
    emulated = Gpu()
    install(monkeypatch, emulated)
    monkeypatch.setattr(tensorrt_plans, "plan", lambda trt, network, machine: network)
    return emulated


@pytest.mark.parametrize("graphs", ["0", "1"])
def test_it_gives_what_the_cpu_gives_for_every_batch(
    gpu: Gpu, deblurring_path: Path, graphs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GRAPHS, graphs)
    session, reference = TensorRtSession("tensorrt", deblurring_path), OnnxRuntime(deblurring_path, 1)

    for count in (1, 3, 8, 3, 40, 0):
        crops = networks.inputs(count, seed=count)
        ours, theirs = (each.run(*crops)[0] for each in (session, reference))
        assert ours.shape == theirs.shape
        assert ours.dtype == np.uint8
        np.testing.assert_allclose(ours.astype(int), theirs.astype(int), atol=1)
    assert gpu.recorded == (4 if graphs == "1" else 0), "one for each of the sizes 1, 4, 8 and 32"


def test_threads_take_turns_and_results_last(gpu: Gpu, deblurring_path: Path) -> None:
    session = TensorRtSession("tensorrt", deblurring_path)
    batches = [networks.inputs(2, seed) for seed in range(12)]
    alone = [session.run(*batch)[0].copy() for batch in batches]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: session.run(*batch)[0], batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_inputs_of_another_type_are_refused(gpu: Gpu, deblurring_path: Path) -> None:
    crops, *others = networks.inputs(1)
    with pytest.raises(TypeError):
        TensorRtSession("tensorrt", deblurring_path).run(crops.astype(np.float32), *others)


def test_too_little_gpu_memory_is_reported(gpu: Gpu, deblurring_path: Path) -> None:
    gpu.free = 1000
    with pytest.raises(ModelError, match="CUDA answers cudaMalloc with cudaErrorMemoryAllocation"):
        TensorRtSession("tensorrt", deblurring_path).run(*networks.inputs(1))


@pytest.mark.usefixtures("with_stub_driver")
@pytest.mark.parametrize(("refused", "built"), [(1, 2), (9, 2)], ids=["the old plan", "every plan"])
def test_a_plan_that_the_library_refuses_is_built_again_once(
    refused: int, built: int, deblurring_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds: list[bytes] = []

    def build(trt: object, network: bytes) -> bytes:
        builds.append(network)
        return network

    install(monkeypatch, Gpu(), refuses=refused)
    monkeypatch.setattr(tensorrt_plans, "build", build)
    if refused == 1:
        assert TensorRtSession("tensorrt", deblurring_path).run(*networks.inputs(1))[0].shape == (1, 128, 128, 3)
    else:
        with pytest.raises(ModelError, match="tensorrt does not load the plan that it built"):
            TensorRtSession("tensorrt", deblurring_path)
    assert len(builds) == built


@pytest.mark.usefixtures("with_stub_driver", "rtx")
def test_the_real_library_without_a_real_driver_fails_in_good_order(deblurring_path: Path, empty_cache: Path) -> None:
    with pytest.raises(ModelError, match=r"tensorrt-rtx (does not load the plan that it built|crashed on a probe)"):
        selection.load(deblurring_path, "tensorrt-rtx")
