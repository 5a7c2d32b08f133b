from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.backends.selection import load
from recognize.embedders.fitted_embedder import FittedEmbedder, fit, read_description, views
from recognize.embedders.subspaces import Labels
from recognize.train.feature_fusion import Fusion, learn, train
from stream.values import Array, Image

STEPS = 30


@pytest.fixture(scope="module")
def seen(people: tuple[list[Image], Labels]) -> Array:
    return views(people[0])


@pytest.mark.slow
def test_it_separates_the_people_of_its_training(people: tuple[list[Image], Labels], tmp_path: Path) -> None:
    crops, labels = people
    learnt = np.arange(len(labels)) % 3 > 0
    file = tmp_path / "fusion.onnx"
    chosen = [crops[place] for place in np.flatnonzero(learnt)]
    file.write_bytes(fit("fusion-cnn", chosen, labels[learnt], seed=0, train_fusion=learn))
    embedder = FittedEmbedder(load(file, "onnxruntime"), read_description(file, "fusion-cnn"))
    assert embedder.dimensions == 192
    embeddings = embedder.embed(crops)
    alike = embeddings[~learnt] @ embeddings[learnt].T
    same = labels[~learnt][:, None] == labels[learnt][None]
    assert alike[same].min() > alike[~same].max()


def test_training_moves_people_apart(people: tuple[list[Image], Labels], seen: Array) -> None:
    def gap(net: Fusion) -> float:
        with torch.no_grad():
            features = torch.nn.functional.normalize(net.eval()(torch.as_tensor(seen)), dim=1).numpy()
        alike, same = features @ features.T, people[1][:, None] == people[1]
        return float(alike[same].mean() - alike[~same].mean())

    assert gap(train(seen, people[1], 0, STEPS)) > gap(train(seen, people[1], 0, 0)) + 0.2


def test_the_same_seed_gives_the_same_network(people: tuple[list[Image], Labels], seen: Array) -> None:
    one, again, other = (learn(seen, people[1], seed, 3).SerializeToString() for seed in (1, 1, 2))
    assert one == again != other


def test_the_exported_network_gives_what_torch_gives(
    people: tuple[list[Image], Labels], seen: Array, tmp_path: Path
) -> None:
    file = tmp_path / "fusion.onnx"
    file.write_bytes(learn(seen, people[1], 0, STEPS).SerializeToString())
    expected = train(seen, people[1], 0, STEPS).eval()(torch.as_tensor(seen)).detach().numpy()
    np.testing.assert_allclose(load(file, "onnxruntime").run(seen)[0], expected, atol=1e-4)


@torch.no_grad()
def test_features_of_every_stage_are_fused(seen: Array) -> None:
    """Weights of a later stage do not affect the features of earlier ones, but weights of earlier ones do."""
    torch.manual_seed(0)
    net, faces = Fusion().eval(), torch.as_tensor(seen)
    before = net(faces)
    for stage in (2, 1, 0):
        net.stages[stage][0].weight *= 1.5 + torch.rand_like(net.stages[stage][0].weight)
        changed = (net(faces) - before).abs().amax(0).view(3, -1).amax(1) > 1e-4
        assert changed.tolist() == [place >= stage for place in range(3)]
