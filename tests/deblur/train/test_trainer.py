from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deblur.train.augmentation import Photo
from deblur.train.onnx_export import export
from deblur.train.recipe import LossRecipe, NetRecipe, Phase, Recipe
from deblur.train.trainer import Step, Trainer, build_network
from deblur.train.validation import Validation

PHASES = (Phase(until=0.5, side=64, reach=8), Phase(until=1, side=64, reach=12))


class Embedder(nn.Module):
    """A small, fixed embedder for the identity loss."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.AvgPool2d(14), nn.Flatten(), nn.Linear(3 * 64, 4))

    def forward(self, views: Tensor) -> Tensor:
        embedded: Tensor = self.layers(views / 255)
        return embedded


def _recipe(crops: int, widths: tuple[int, ...] = (8, 16), **losses: float) -> Recipe:
    return Recipe(
        net=NetRecipe(widths=widths, blocks=(1,) * len(widths), unshuffle=4),
        loss=LossRecipe.model_validate({"identity": 0, **losses}),
        phases=PHASES,
        crops=crops,
        batch=8,
        warm_up=0,
        workers=0,
        threads=1,
        check_every=crops // 2,
    )


def _run(recipe: Recipe, photos: list[Photo], folder: Path) -> list[Step]:
    embedder = Embedder() if recipe.loss.identity else None
    return list(Trainer(recipe, photos, folder, Validation(photos, None), embedder).run())


def test_it_learns(photos: list[Photo], tmp_path: Path) -> None:
    steps = _run(_recipe(480), photos, tmp_path)
    gains = [step.figures["score"] for step in steps if step.figures]
    assert steps[-1].crops == 480
    assert gains[-1] > 0.05
    assert gains[-1] > gains[0]


def test_the_best_network_is_kept(photos: list[Photo], tmp_path: Path) -> None:
    recipe = _recipe(160)
    trainer = Trainer(recipe, photos, tmp_path, Validation(photos, None))
    scores = [step.figures["score"] for step in trainer.run() if step.figures]
    kept = Validation(photos, None)(trainer.best_net(), torch.device("cpu"))["score"]
    assert kept == pytest.approx(max(scores), abs=0.02)


def test_it_starts_with_a_network_that_was_exported(photos: list[Photo], tmp_path: Path) -> None:
    learnt = Trainer(_recipe(160), photos, tmp_path / "first", Validation(photos, None))
    list(learnt.run())
    export(learnt.best_net(), tmp_path / "learnt.onnx")
    recipe = _recipe(160).model_copy(update={"start": tmp_path / "learnt.onnx"})
    begun = Trainer(recipe, photos, tmp_path / "second", Validation(photos, None))
    for name, weight in learnt.best_net().state_dict().items():
        torch.testing.assert_close(begun.net.state_dict()[name], weight, atol=1e-3, rtol=1e-3)  # float16 on disk
    assert begun.crops == 0


def test_a_start_of_another_network_is_refused(photos: list[Photo], tmp_path: Path) -> None:
    export(build_network(_recipe(16).net), tmp_path / "other.onnx")
    recipe = _recipe(16, widths=(8, 24)).model_copy(update={"start": tmp_path / "other.onnx"})
    with pytest.raises(ValueError, match=r"other\.onnx is of another network"):
        Trainer(recipe, photos, tmp_path, Validation(photos, None))
    (tmp_path / "other.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match="no ONNX file"):
        Trainer(recipe, photos, tmp_path, Validation(photos, None))


def test_a_stopped_run_resumes_from_its_checkpoint(photos: list[Photo], tmp_path: Path) -> None:
    first = Trainer(_recipe(160), photos, tmp_path, Validation(photos, None))
    for step in first.run():
        if step.crops == 56:
            first.save()
            break
    second = Trainer(_recipe(160), photos, tmp_path, Validation(photos, None))
    assert second.crops == 56
    for name, weight in second.net.state_dict().items():
        torch.testing.assert_close(weight, first.net.state_dict()[name])
    steps = list(second.run())
    assert steps[0].crops == 64
    assert steps[-1].crops == 160


def test_a_checkpoint_of_another_network_is_refused(photos: list[Photo], tmp_path: Path) -> None:
    _run(_recipe(16), photos, tmp_path)
    with pytest.raises(ValueError, match="another network"):
        _run(_recipe(16, widths=(8, 24)), photos, tmp_path)


@pytest.mark.parametrize("content", [b"", b"hi", b"no checkpoint", None], ids=["empty", "short", "text", "cut short"])
def test_a_damaged_checkpoint_is_named(photos: list[Photo], tmp_path: Path, content: bytes | None) -> None:
    _run(_recipe(16), photos, tmp_path)
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:-3000] if content is None else content)
    with pytest.raises(ValueError, match=r"checkpoint\.pt is no checkpoint, or a damaged one"):
        _run(_recipe(16), photos, tmp_path)


def test_every_loss_is_reported_and_changes_the_weights(photos: list[Photo], tmp_path: Path) -> None:
    steps = _run(
        _recipe(64, identity=0.1, regions=0.2, adversarial=0.01, identity_from=0.5, adversarial_from=0.5),
        photos,
        tmp_path,
    )
    assert set(steps[0].losses) == {"charbonnier", "spectrum", "regions", "kernel", "critic"}
    assert set(steps[-1].losses) == {*steps[0].losses, "identity", "adversarial"}


def test_identity_needs_an_embedder(photos: list[Photo], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs an embedder"):
        Trainer(_recipe(16, identity=0.1), photos, tmp_path, Validation(photos, None))


def test_nothing_to_learn_from_is_an_error(photos: list[Photo], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no photos"):
        Trainer(_recipe(16), [], tmp_path, Validation(photos, None))


@pytest.mark.parametrize("ends", [(0.5, 0.9), (0.6, 0.6, 1), ()])
def test_phases_have_to_fill_the_run(ends: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="the last at 1"):
        Recipe(phases=tuple(Phase(until=end) for end in ends))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ({"widths": (8, 16), "blocks": (1,)}, "2 and 1 do not agree"),
        ({"widths": (), "blocks": ()}, "at least 1 item"),
        ({"widths": (8, 0), "blocks": (1, 1)}, "greater than 0"),
        ({"unshuffle": 3}, "the net takes crops whose side is a multiple of 12, not 128"),
    ],
)
def test_a_network_that_cannot_be_is_refused_with_the_recipe(net: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate({"net": net, "phases": [{"until": 1}]})
