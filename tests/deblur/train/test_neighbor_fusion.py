"""A network with neighbor crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from deblur.train.augmentation import Photo
from deblur.train.dataset import Synthesis
from deblur.train.networks import UNet
from deblur.train.onnx_export import export
from deblur.train.recipe import LossRecipe, NetRecipe, Phase, Recipe
from deblur.train.trainer import Trainer
from deblur.train.validation import Validation
from models.backends.selection import load

NET = NetRecipe(widths=(8, 16), blocks=(1, 1), unshuffle=4, others=2)


def _restless(net: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in net.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return net.eval()


@pytest.fixture(scope="module")
def alone() -> nn.Module:
    return _restless(UNet(NET.widths, NET.blocks, NET.unshuffle))


@pytest.fixture
def started(alone: nn.Module, tmp_path: Path) -> Recipe:
    """A run that starts from a network without neighbor crops, and keeps its weights."""
    export(alone, tmp_path / "start.onnx")
    return Recipe(
        net=NET,
        start=tmp_path / "start.onnx",
        keep=True,
        loss=LossRecipe(identity=0),
        phases=(Phase(until=1, side=64, reach=12),),
        crops=160,
        batch=8,
        warm_up=0,
        workers=0,
        threads=1,
        check_every=80,
    )


@torch.no_grad()
def test_neighbors_equal_to_the_crop_change_nothing(alone: nn.Module) -> None:
    torch.manual_seed(1)
    crops, hints, motion = torch.rand(2, 3, 128, 128), torch.rand(2, 3, 128, 128), torch.rand(2, 2)
    fused = _restless(UNet(NET.widths, NET.blocks, NET.unshuffle, others=2))
    fused.load_state_dict(alone.state_dict(), strict=False)
    for with_itself, by_itself in zip(
        fused(crops, hints, motion, crops.repeat(1, 2, 1, 1)), alone(crops, hints, motion), strict=True
    ):
        assert torch.equal(with_itself, by_itself)
    others = fused(crops, hints, motion, torch.rand(2, 6, 128, 128))
    assert not torch.equal(others[0], alone(crops, hints, motion)[0])


def test_what_is_kept_does_not_move_and_the_rest_learns(started: Recipe, photos: list[Photo], tmp_path: Path) -> None:
    trainer = Trainer(started, photos, tmp_path / "run", Validation(photos, None, others=2))
    before = {name: weight.clone() for name, weight in trainer.net.state_dict().items()}
    for _ in trainer.run():
        pass
    for name, weight in trainer.best_net().state_dict().items():
        assert torch.equal(weight, before[name]) != name.startswith("beside."), name


def test_the_exported_network_without_others_is_the_old_one(
    started: Recipe, photos: list[Photo], tmp_path: Path
) -> None:
    trainer = Trainer(started, photos, tmp_path / "run", Validation(photos, None, others=2))
    for _ in trainer.run():
        pass
    export(trainer.best_net(), tmp_path / "fused.onnx")
    assert started.start
    old, new = load(started.start, "onnxruntime"), load(tmp_path / "fused.onnx", "onnxruntime")
    assert list(new.names) == [*old.names, "others"]
    batch = next(iter(Synthesis(photos, 4, 128, 20, (0,), NET)))
    itself = np.concatenate([batch.crops] * 2, 3)
    for one, other in zip(
        old.run(batch.crops, batch.hints, batch.motion), new.run(batch.crops, batch.hints, batch.motion, itself),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(one, other)
    assert (new.run(batch.crops, batch.hints, batch.motion, batch.others)[0] != new.run(
        batch.crops, batch.hints, batch.motion, itself
    )[0]).any()  # fmt: skip


def test_others_show_the_same_face_blurred_otherwise(photos: list[Photo]) -> None:
    batch = next(iter(Synthesis(photos, 48, 128, 20, (1,), NET)))
    assert batch.others.shape == (48, 128, 128, 6)
    unlike = [
        np.abs(batch.crops.astype(float) - batch.others[..., 3 * place : 3 * place + 3]).mean((1, 2, 3))
        for place in (0, 1)
    ]
    missing = np.mean([each == 0 for each in unlike])
    assert 0.1 < missing < 0.35
    near = np.median([each[each > 0] for each in (np.concatenate(unlike),)])
    assert near < np.abs(batch.crops.astype(float) - np.roll(batch.crops, 1, 0)).mean()


def test_a_batch_without_neighbors_has_no_others(photos: list[Photo]) -> None:
    assert next(iter(Synthesis(photos, 2, 64, 12, (0,)))).others.shape == (2, 64, 64, 0)


@pytest.mark.parametrize("lacking", [{"start": None}, {"net": NetRecipe()}])
def test_only_a_network_to_start_with_can_be_kept(started: Recipe, lacking: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="keep"):
        Recipe.model_validate({**started.model_dump(), **lacking})
