"""The networks: a residual U-net, and the two-scale baseline of Shen et al."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from deblur.train.kernel_head import KernelHead, kernel_softmax
from deblur.train.residual import Residual

INPUTS = ("crops", "hints", "motion", "others")
"""Input names of an exported network; the last only of one with neighbor crops."""


class UNet(nn.Module):
    """A U-net of residual blocks on the pixel-unshuffled crop; its output is added to the crop.

    `widths` and `blocks` are per scale, from the finest to the coarsest; the decoder mirrors the encoder. Inputs and
    output are N x 3 x H x W in 0..1, H and W multiples of `unshuffle` times 2^(scales - 1); `motion` is N x 2.
    `others` is the number of neighbor crops, which are N x (3 * others) x H x W.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], unshuffle: int = 2, others: int = 0) -> None:
        super().__init__()
        packed, steps = 3 * unshuffle**2, list(pairwise(widths))
        self.unshuffle = unshuffle
        self.head = nn.Conv2d(2 * packed + 2, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(_stack(*scale) for scale in zip(widths, blocks, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in steps)
        self.decoder = nn.ModuleList(_stack(*scale) for scale in zip(widths[:-1], blocks[:-1], strict=True))
        self.tail = nn.Conv2d(widths[0], packed, 3, padding=1)
        for parameter in self.tail.parameters():  # start as the identity
            nn.init.zeros_(parameter)
        self.cause = KernelHead(widths[0], unshuffle)
        self.beside = NeighborFusion(widths, packed, others) if others else None

    def forward(
        self, crops: Tensor, hints: Tensor, motion: Tensor, others: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        packed = functional.pixel_unshuffle(torch.cat([crops, hints - crops], 1), self.unshuffle)
        planes = motion[:, :, None, None].expand(-1, -1, packed.shape[2], packed.shape[3])
        added = self._neighbor_features(crops, others)
        features, skipped = self.head(torch.cat([packed, planes.to(packed.dtype)], 1)) + added[0], []
        for encode, down, more in zip(self.encoder, self.down, added[1:], strict=False):
            skipped.append(encode(features))
            features = down(skipped[-1]) + more
        features = self.encoder[-1](features)
        for up, decode in zip(reversed(self.up), reversed(self.decoder), strict=True):
            features = decode(functional.pixel_shuffle(up(features), 2) + skipped.pop())
        restored = crops + functional.pixel_shuffle(self.tail(features), self.unshuffle)
        return restored, self.cause(features, packed[:, : 3 * self.unshuffle**2])

    def _neighbor_features(self, crops: Tensor, others: Tensor | None) -> Sequence[Tensor | int]:
        """Return what neighbor crops add to the features of each scale."""
        if self.beside is None or others is None:
            return [0] * len(self.encoder)
        differences = others - torch.cat([crops] * self.beside.others, 1)
        added: list[Tensor] = self.beside(functional.pixel_unshuffle(differences, self.unshuffle))
        return added


def _stack(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(blocks)))


class TwoScale(nn.Module):
    """Two-scale baseline: Shen et al., "Deep Semantic Face Deblurring" (CVPR 2018), without its parsing maps.

    Two scales of 18 convolutions of 5 x 5 x 64; the half-size result is enlarged by a 4 x 4 transposed convolution and
    joins the full-size crop. Same interface as `UNet`; the motion is ignored.
    """

    def __init__(self, width: int = 64, depth: int = 18, side: int = 5) -> None:
        super().__init__()
        self.coarse = _convolutions(3, width, depth, side)
        self.enlarge = nn.ConvTranspose2d(3, 3, 4, stride=2, padding=1)
        self.fine = _convolutions(6, width, depth, side)
        self.apply(_initialize)

    def forward(self, crops: Tensor, *_: Tensor) -> tuple[Tensor, None]:
        small = functional.avg_pool2d(crops, 2)
        coarse = small + self.coarse(small)
        return crops + self.fine(torch.cat([crops, self.enlarge(coarse)], 1)), None


def _initialize(layer: nn.Module) -> None:
    """Start as the identity with weights after He et al., ICCV 2015: with torch's default no signal passes 18
    convolutions without a shortcut."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        if layer.out_channels == 3:
            nn.init.zeros_(layer.weight)


def _convolutions(entering: int, width: int, depth: int, side: int) -> nn.Sequential:
    first = [nn.Conv2d(entering, width, side, padding=side // 2), nn.ReLU()]
    middle = [
        layer for _ in range(depth - 2) for layer in (nn.Conv2d(width, width, side, padding=side // 2), nn.ReLU())
    ]
    return nn.Sequential(*first, *middle, nn.Conv2d(width, 3, side, padding=side // 2))


class OnnxWrapper(nn.Module):
    """A network for export: uint8 BGR, N x H x W x 3 (others N x H x W x 3k), in and out, and the estimated kernels
    (N x 49 x 49, float32, sum 1), if there are any."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor, hints: Tensor, motion: Tensor, others: Tensor | None = None) -> tuple[Tensor, ...]:
        neighbors = () if others is None else (_to_planes(others),)
        restored, kernels = self.net(_to_planes(crops), _to_planes(hints), motion, *neighbors)
        image = torch.clamp(torch.round(restored * 255), 0, 255).permute(0, 2, 3, 1).to(torch.uint8)
        return (image,) if kernels is None else (image, kernel_softmax(kernels))


def _to_planes(images: Tensor) -> Tensor:
    return images.float().permute(0, 3, 1, 2) / 255  # in this order TensorRT moves no bytes


def neighbor_count(net: nn.Module) -> int:
    """Return the number of neighbor crops that a network takes."""
    fusion = getattr(net, "beside", None)
    return fusion.others if isinstance(fusion, NeighborFusion) else 0


def multiplications(net: nn.Module, side: int = 128) -> int:
    """Count the multiply-accumulate operations of the convolutions for one crop."""
    counts: list[int] = []

    def count(layer: nn.Conv2d | nn.ConvTranspose2d, inputs: tuple[Tensor], output: Tensor) -> None:
        positions = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        counts.append(layer.weight.numel() * positions[0, 0].numel())

    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    blank = torch.zeros(1, 3, side, side)
    with torch.no_grad():
        net(
            blank,
            blank,
            torch.zeros(1, 2),
            *(blank.repeat(1, others, 1, 1) for others in [neighbor_count(net)] if others),
        )
    for hook in hooks:
        hook.remove()
    return sum(counts)


class NeighborFusion(nn.Module):
    """Fuses neighbor crops: maps their differences from the crop to additions to the features of each encoder scale.

    There are no biases, and the output weights start at zero: for neighbors equal to the crop the additions are exactly
    zero, so that adding this module to a trained network does not change it. `widths` are the network's, `packed` is
    the number of channels of a pixel-unshuffled crop.
    """

    def __init__(self, widths: Sequence[int], packed: int, others: int) -> None:
        super().__init__()
        self.others = others
        self.head = nn.Conv2d(others * packed, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList(nn.Conv2d(*step, 2, stride=2, bias=False) for step in pairwise(widths))
        self.middle = nn.ModuleList(Residual(width, bias=False) for width in widths[1:])
        self.out = nn.ModuleList(nn.Conv2d(width, width, 1, bias=False) for width in widths)
        for layer in self.out:
            nn.init.zeros_(layer.weight)

    def forward(self, differences: Tensor) -> list[Tensor]:
        """Map N x (others * packed) x H x W to the additions at each scale, from the finest."""
        features = functional.relu(self.head(differences))
        added = [self.out[0](features)]
        for down, middle, out in zip(self.down, self.middle, self.out[1:], strict=True):
            features = middle(functional.relu(down(features)))
            added.append(out(features))
        return added
