"""Multilayer feature-fusion CNN: features of several layers are fused before the classifier.

After Sun et al., "Deep learning face representation from predicting 10,000 classes" (CVPR 2014), whose last hidden
layer is connected to two layers of different scale. The classifier of the training people is removed: the fused
features are the embedding.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from recognize.embedders.subspaces import Labels
from stream.values import Array

OPSET = 18
STEPS = 400
BATCH = 32
RATE = 2e-3
SMOOTHING = 0.1
_GRID = 7


class Fusion(nn.Module):
    """Three stages of convolution and pooling; each stage's maps, averaged to 7 x 7, give `part` features: N x 1 x 56 x
    56 in, N x 3 `part` out."""

    def __init__(self, widths: Sequence[int] = (16, 32, 64), part: int = 64) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_stage(*step) for step in pairwise((1, *widths)))
        self.parts = nn.ModuleList(nn.Linear(width * _GRID**2, part) for width in widths)
        self.norm = nn.BatchNorm1d(part * len(widths))

    def forward(self, views: Tensor) -> Tensor:
        maps, fused = views, []
        for stage, part in zip(self.stages, self.parts, strict=True):
            maps = stage(maps)
            pooled = functional.avg_pool2d(maps, maps.shape[-1] // _GRID)
            fused.append(part(pooled.flatten(1)))
        return self.norm(torch.cat(fused, 1))


def _stage(channels: int, width: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2))


def learn(views: Array, labels: Labels, seed: int, steps: int = STEPS) -> onnx.ModelProto:
    """Train the network and convert it to ONNX: views (N x 1 x 56 x 56, float32) in, features (N x 192) out."""
    net, file = train(views, labels, seed, steps).eval(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # views have one size
        torch.onnx.export(
            net,
            (torch.zeros(2, *views.shape[1:]),),
            file,
            input_names=["views"],
            output_names=["features"],
            dynamic_axes={name: {0: "batch"} for name in ("views", "features")},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_model_from_string(file.getvalue())


def train(views: Array, labels: Labels, seed: int, steps: int = STEPS) -> Fusion:
    """Train a network to classify the people (`labels`, from 0) of N views; deterministic on the CPU for one seed."""
    torch.manual_seed(seed)
    faces, people = torch.as_tensor(views), torch.as_tensor(labels)
    net = Fusion()
    classifier = nn.Sequential(nn.ReLU(), nn.Dropout(), nn.Linear(net.norm.num_features, int(people.max()) + 1))
    weights = [*net.parameters(), *classifier.parameters()]
    optimizer = torch.optim.AdamW(weights, RATE, weight_decay=1e-2)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for batch in islice(_batches(len(faces)), steps):
        logits = classifier(net(_augment(faces[batch])))
        loss = functional.cross_entropy(logits, people[batch], label_smoothing=SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return net


def _batches(count: int) -> Iterator[Tensor]:
    """Yield batches of indices below `count` in random order, endlessly, of about equal size, since batch normalization
    needs several samples."""
    while True:
        yield from torch.randperm(count).tensor_split(max(1, count // BATCH))


def _augment(faces: Tensor) -> Tensor:
    """Shift, rotate, scale and relight the faces (N x 1 x H x W) slightly; mirror half of them."""
    count = len(faces)
    turn, scale = 0.1 * torch.randn(count), torch.exp(0.06 * torch.randn(count))
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    cos, sin, shift = scale * turn.cos(), scale * turn.sin(), 0.05 * torch.randn(count, 2)
    rows = [torch.stack([mirror * cos, -sin, shift[:, 0]], 1), torch.stack([mirror * sin, cos, shift[:, 1]], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(faces.shape), align_corners=False)
    moved = functional.grid_sample(faces, grid, padding_mode="reflection", align_corners=False)
    return moved * torch.exp(0.2 * torch.randn(count, 1, 1, 1)) + 0.2 * torch.randn(count, 1, 1, 1)
