from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from deblur.train.networks import OnnxWrapper, TwoScale, UNet, multiplications
from deblur.train.onnx_export import export


def _restless(net: nn.Module) -> nn.Module:
    """As after some training: the tail is no longer zero."""
    torch.manual_seed(0)
    for parameter in net.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return net.eval()


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    return _restless(UNet((16, 32), (1, 1), 4))


def _inputs(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(count, 3, 128, 128), torch.rand(count, 3, 128, 128), torch.rand(count, 2) - 0.5


def test_a_fresh_unet_changes_nothing() -> None:
    crops, hints, motion = _inputs(2)
    torch.testing.assert_close(UNet((16, 32), (1, 1), 4)(crops, hints, motion)[0], crops)


@torch.no_grad()
def test_the_output_depends_on_hint_and_motion(unet: nn.Module) -> None:
    crops, hints, motion = _inputs(1)
    for output in (0, 1):
        restored = unet(crops, hints, motion)[output]
        assert (restored - unet(crops, crops, motion)[output]).abs().max() > 1e-3
        assert (restored - unet(crops, hints, torch.zeros_like(motion))[output]).abs().max() > 1e-3


@torch.no_grad()
def test_crops_do_not_see_each_other(unet: nn.Module) -> None:
    inputs = _inputs(3)
    for together, alone in zip(unet(*inputs), unet(*(each[1:2] for each in inputs)), strict=True):
        torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-4)


def test_the_two_scale_network_is_as_large_as_in_the_paper() -> None:
    """Shen et al.: 18 convolutions of 5 x 5 x 64 for each of two scales."""
    net = TwoScale()
    assert multiplications(net) / 1e9 == pytest.approx(33.8, abs=0.1)
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.modules()) == 36


@pytest.mark.parametrize("net", [UNet((16, 32), (1, 1), 4), TwoScale(8, 4)], ids=["unet", "two-scale"])
def test_the_exported_network_gives_what_torch_gives(net: nn.Module, tmp_path: Path) -> None:
    net, file, rng = _restless(net), tmp_path / "network.onnx", np.random.default_rng(0)
    export(net, file)
    session = ort.InferenceSession(str(file))
    crops, hints = rng.integers(0, 256, (2, 3, 128, 128, 3), np.uint8)
    motion = rng.uniform(-1, 1, (3, 2)).astype(np.float32)
    given = {each.name: value for each, value in zip(session.get_inputs(), (crops, hints, motion), strict=False)}
    restored, *kernels = session.run(None, given)
    with torch.no_grad():
        expected, *causes = OnnxWrapper(net)(*(torch.as_tensor(each) for each in (crops, hints, motion)))
    assert restored.dtype == np.uint8
    assert restored.shape == crops.shape
    assert (restored != crops).any()
    assert np.abs(restored.astype(int) - expected.numpy()).max() <= 1
    assert len(kernels) == len(causes) == isinstance(net, UNet)
    for kernel, cause in zip(kernels, causes, strict=True):
        np.testing.assert_allclose(kernel, cause.numpy(), atol=1e-5)
        np.testing.assert_allclose(kernel.sum((1, 2)), 1, atol=1e-4)
