"""Deblurring by the network: its inputs and the use of its outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from deblur import cnn, conditioning, kernels, registration
from deblur.cnn import CNN
from models.backends.selection import load
from models.backends.session import NetworkSession
from stream.values import Array, FaceCrop, FaceQuality
from tests.deblur.conftest import MakeCrop
from tests.models.support import networks

SHUTTERS = {"lobby": 0.5}
LENGTHS = (20, 0, 12, 24, 16)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> NetworkSession:
    """A deblurring network with random weights."""
    file = tmp_path_factory.mktemp("network") / "random.onnx"
    file.write_bytes(networks.deblurring())
    return load(file, "onnxruntime")


class FixedKernelSession:
    """A session that estimates the same kernel for every crop."""

    def __init__(self, session: NetworkSession, kernel: Array) -> None:
        self.backend, self._session, self._kernel = session.backend, session, kernel
        self.names = session.names

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        images, _ = self._session.run(*inputs)
        return [images, np.stack([self._kernel] * len(images))]


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> NetworkSession:
    """A network that returns the hint."""
    crops, hints, restored = (
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", 128, 128, 3])
        for name in ("crops", "hints", "restored")
    )
    motion = helper.make_tensor_value_info("motion", TensorProto.FLOAT, ["N", 2])
    node = helper.make_node("Identity", ["hints"], ["restored"])
    graph = helper.make_graph([node], "echo", [crops, hints, motion], [restored])
    file: Path = tmp_path_factory.mktemp("network") / "echo.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    return load(file, "onnxruntime")


def test_neighbor_crops_are_inputs_and_the_crop_replaces_missing_ones(
    mirror: NetworkSession, make_crop: MakeCrop
) -> None:
    blurred = make_crop(kernels.line(16, 0))
    before, earlier = (make_crop(kernels.line(16, angle), seed=angle) for angle in (1, 2))
    aligned = registration.register_to(earlier, blurred)
    assert (aligned != blurred.image).any()
    for others, second in (((), blurred.image), ((before,), blurred.image), ((before, earlier), aligned)):
        shown = CNN(mirror).restore([replace(blurred, neighbors=others)])[0].image
        assert np.array_equal(shown, second)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> NetworkSession:
    """A network with the inputs crops and others only, which returns the second of the others."""
    crops, others = (
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", 128, 128, colors])
        for name, colors in (("crops", 3), ("others", 6))
    )
    restored = helper.make_tensor_value_info("restored", TensorProto.UINT8, ["N", 128, 128, 3])
    bounds = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("from", 3), ("to", 6), ("axis", 3))
    ]
    node = helper.make_node("Slice", ["others", "from", "to", "axis"], ["restored"])
    graph = helper.make_graph([node], "mirror", [crops, others], [restored], bounds)
    file: Path = tmp_path_factory.mktemp("network") / "mirror.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    return load(file, "onnxruntime")


@pytest.fixture(scope="module")
def crops(make_crop: MakeCrop) -> list[FaceCrop]:
    """Crops of moving tracks: blurred ones and a sharp one."""
    return [
        make_crop(kernels.line(length, 0) if length else None, (2.0 * length, 0.0), seed=length) for length in LENGTHS
    ]


def test_sharp_crops_are_unchanged_and_the_order_is_kept(session: NetworkSession, crops: list[FaceCrop]) -> None:
    restorations = CNN(session, SHUTTERS).restore(crops)
    assert [each.crop for each in restorations] == crops
    assert [each.method for each in restorations] == ["cnn", "none", "cnn", "cnn", "cnn"]
    assert restorations[1].image is crops[1].image
    assert all(each.blur >= 3 for each in restorations if each.method == "cnn")
    assert CNN(session).restore([]) == []
    assert CNN(session).restore([crops[1]])[0].image is crops[1].image


def test_the_network_gets_crops_hints_and_motion(session: NetworkSession, crops: list[FaceCrop]) -> None:
    motions = [(float(length), 0.0) for length in LENGTHS if length]
    blurred = [crop.image for crop, length in zip(crops, LENGTHS, strict=True) if length]
    hints = [conditioning.deconvolve_motion(*pair) for pair in zip(blurred, motions, strict=True)]
    alone = [
        np.stack([conditioning.encode_motion(each) for each in motions]),
        np.concatenate([np.stack(blurred)] * 2, 3),
    ]
    expected, estimated = session.run(np.stack(blurred), np.stack(hints), *alone)
    restored = [each.image for each in CNN(session, SHUTTERS, passes=1).restore(crops) if each.method == "cnn"]
    assert np.array_equal(np.stack(restored), expected)

    for passes in (2, 3):
        again = [conditioning.deconvolve_with_kernel(*pair) for pair in zip(blurred, estimated, strict=True)]
        assert all((one != other).any() for one, other in zip(again, hints, strict=True))
        expected, estimated = session.run(np.stack(blurred), np.stack(again), *alone)
        restored = [each.image for each in CNN(session, SHUTTERS, passes=passes).restore(crops) if each.method == "cnn"]
        assert np.array_equal(np.stack(restored), expected)


def test_a_motion_confirmed_by_the_estimated_kernel_is_not_replaced_by_it(
    session: NetworkSession, make_crop: MakeCrop
) -> None:
    lengths = 24, 16, 20
    crops = [make_crop(kernels.line(length, 0), (2.0 * length, 0.0), seed=length) for length in lengths]
    blind = make_crop(kernels.line(20, 0))
    estimated = kernels.resize_support(kernels.line(17, 0), 49)
    fixed, batch = FixedKernelSession(session, estimated), [*crops, blind]
    once, thrice = ([each.image for each in CNN(fixed, SHUTTERS, passes=passes).restore(batch)] for passes in (1, 3))
    assert [np.array_equal(*pair) for pair in zip(once, thrice, strict=True)] == [False, True, False, False]
    assert np.array_equal(CNN(fixed, SHUTTERS).restore(crops[1:2])[0].image, once[1])


def test_the_hint_is_deconvolved_only_for_a_known_motion(echo: NetworkSession, make_crop: MakeCrop) -> None:
    kernel = kernels.line(16, 0)
    known, blind = make_crop(kernel, (32.0, 0.0)), make_crop(kernel)
    informed, left = CNN(echo, SHUTTERS).restore([known, blind])
    assert np.array_equal(informed.image, conditioning.deconvolve_motion(known.image, (16.0, 0.0)))
    assert np.array_equal(left.image, blind.image)
    assert informed.method == left.method == "cnn"


@pytest.mark.parametrize("together", [1, 2, 3])
def test_a_result_does_not_depend_on_the_other_crops_of_the_batch(
    session: NetworkSession, crops: list[FaceCrop], together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = CNN(session, SHUTTERS).restore(crops)
    monkeypatch.setattr(cnn, "TOGETHER", together)
    parted = CNN(session, SHUTTERS).restore(crops)
    singly = [CNN(session, SHUTTERS).restore([crop])[0] for crop in crops]
    for one, other, alone in zip(at_once, parted, singly, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.image, alone.image)


def test_a_crop_of_another_size_is_refused(session: NetworkSession) -> None:
    image = np.zeros((160, 160, 3), np.uint8)
    image[::16] = 255
    blurred = kernels.add_sensor_noise(kernels.blur(image, kernels.gaussian(4)), 0.01, np.random.default_rng(0))
    crop = FaceCrop("lobby", 1, 0, 0.0, blurred, np.eye(2, 3, dtype=np.float32), None, FaceQuality(1, 1, 1))
    with pytest.raises(ValueError, match="128"):
        CNN(session).restore([crop])


@pytest.mark.parametrize(("reach", "methods"), [(18.0, ["cnn", "richardson-lucy"]), (30.0, ["cnn", "cnn"])])
def test_known_motion_beyond_its_reach_is_left_to_richardson_lucy(
    session: NetworkSession, make_crop: MakeCrop, reach: float, methods: list[str]
) -> None:
    near, far = (make_crop(kernels.line(length, 0), (2.0 * length, 0.0)) for length in (14, 24))
    both = CNN(session, SHUTTERS, reach).restore([far, near])
    assert sorted(each.method for each in both) == methods
    assert both[1].method == "cnn"
    blind = make_crop(kernels.line(24, 0))
    assert CNN(session, SHUTTERS, reach).restore([blind])[0].method == "cnn"


def test_motion_longer_than_in_training_is_not_an_input(echo: NetworkSession, make_crop: MakeCrop) -> None:
    length = cnn.REACH + 12
    crop = make_crop(kernels.line(length, 0), (2 * length, 0.0))
    (restoration,) = CNN(echo, SHUTTERS).restore([crop])
    assert restoration.method == "cnn"
    assert np.array_equal(restoration.image, crop.image)


def test_the_limit_of_passes_per_call_holds_and_zero_changes_nothing(
    session: NetworkSession, crops: list[FaceCrop]
) -> None:
    deblurrer = CNN(session, SHUTTERS, passes=3)
    for passes in (1, 2, 3, 4):
        limited, expected = (
            deblurrer.restore(crops, passes),
            CNN(session, SHUTTERS, passes=min(3, passes)).restore(crops),
        )
        assert all(np.array_equal(one.image, other.image) for one, other in zip(limited, expected, strict=True))
    untouched = deblurrer.restore(crops, 0)
    assert [(each.method, each.image is crop.image) for each, crop in zip(untouched, crops, strict=True)] == [
        ("none", True)
    ] * len(crops)
    assert all(each.blur >= 3 for each, length in zip(untouched, LENGTHS, strict=True) if length)
