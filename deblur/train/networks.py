"""The networks: the residual U-net that is ours, and the two-scale network of the seed paper."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from deblur.train.kernel_head import KernelHead, kernel_softmax
from deblur.train.residual import Residual

INPUTS = ("crops", "hints", "motion", "others")
"""Of an exported network; the last only of one that looks at others."""


class UNet(nn.Module):
    """A U-net of residual blocks on the pixel-unshuffled crop; what it gives is added to the crop.

    `widths` and `blocks` are per scale, from the finest to the coarsest; the decoder mirrors the encoder. Inputs and
    output are N x 3 x H x W in 0..1, H and W multiples of `unshuffle` times 2^(scales - 1); `motion` is N x 2. Where it
    looks at `others`, crops of the same face from other pictures, they are N x (3 * others) x H x W.
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
        for parameter in self.tail.parameters():  # it starts as the identity
            nn.init.zeros_(parameter)
        self.cause = KernelHead(widths[0], unshuffle)
        self.beside = NeighborFusion(widths, packed, others) if others else None

    def forward(
        self, crops: Tensor, hints: Tensor, motion: Tensor, others: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        packed = functional.pixel_unshuffle(torch.cat([crops, hints - crops], 1), self.unshuffle)
        planes = motion[:, :, None, None].expand(-1, -1, packed.shape[2], packed.shape[3])
        added = self._added(crops, others)
        features, skipped = self.head(torch.cat([packed, planes.to(packed.dtype)], 1)) + added[0], []
        for encode, down, more in zip(self.encoder, self.down, added[1:], strict=False):
            skipped.append(encode(features))
            features = down(skipped[-1]) + more
        features = self.encoder[-1](features)
        for up, decode in zip(reversed(self.up), reversed(self.decoder), strict=True):
            features = decode(functional.pixel_shuffle(up(features), 2) + skipped.pop())
        restored = crops + functional.pixel_shuffle(self.tail(features), self.unshuffle)
        return restored, self.cause(features, packed[:, : 3 * self.unshuffle**2])

    def _added(self, crops: Tensor, others: Tensor | None) -> Sequence[Tensor | int]:
        """What others add at each scale."""
        if self.beside is None or others is None:
            return [0] * len(self.encoder)
        differences = others - torch.cat([crops] * self.beside.others, 1)
        added: list[Tensor] = self.beside(functional.pixel_unshuffle(differences, self.unshuffle))
        return added


def _stack(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(blocks)))


class TwoScale(nn.Module):
    """The seed's network: Shen et al., "Deep Semantic Face Deblurring" (CVPR 2018), without its parsing maps.

    Two scales of 18 convolutions of 5 x 5 x 64; the half-size result is enlarged by a 4 x 4 transposed convolution and
    joins the full-size crop. Takes and gives what `UNet` does; it has no use for the motion.
    """

    def __init__(self, width: int = 64, depth: int = 18, side: int = 5) -> None:
        super().__init__()
        self.coarse = _convolutions(3, width, depth, side)
        self.enlarge = nn.ConvTranspose2d(3, 3, 4, stride=2, padding=1)
        self.fine = _convolutions(6, width, depth, side)
        self.apply(_wake)

    def forward(self, crops: Tensor, *_: Tensor) -> tuple[Tensor, None]:
        small = functional.avg_pool2d(crops, 2)
        coarse = small + self.coarse(small)
        return crops + self.fine(torch.cat([crops, self.enlarge(coarse)], 1)), None


def _wake(layer: nn.Module) -> None:
    """It starts as the identity, ready to learn (He et al., ICCV 2015): as torch begins, nothing comes through 18
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
    """A network as it is exported: uint8 BGR, N x H x W x 3 (others N x H x W x 3k), in and out, and the kernels
    (N x 49 x 49, float32, sum 1) where the network tells them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: Tensor, hints: Tensor, motion: Tensor, others: Tensor | None = None) -> tuple[Tensor, ...]:
        beside = () if others is None else (_unpacked(others),)
        restored, kernels = self.net(_unpacked(crops), _unpacked(hints), motion, *beside)
        image = torch.clamp(torch.round(restored * 255), 0, 255).permute(0, 2, 3, 1).to(torch.uint8)
        return (image,) if kernels is None else (image, kernel_softmax(kernels))


def _unpacked(pictures: Tensor) -> Tensor:
    return pictures.float().permute(0, 3, 1, 2) / 255  # in this order: TensorRT moves no bytes


def neighbor_count(net: nn.Module) -> int:
    """At how many others it looks."""
    beside = getattr(net, "beside", None)
    return beside.others if isinstance(beside, NeighborFusion) else 0


def multiplications(net: nn.Module, side: int = 128) -> int:
    """Multiply-accumulate operations of the convolutions for one crop."""
    counts: list[int] = []

    def count(layer: nn.Conv2d | nn.ConvTranspose2d, entered: tuple[Tensor], output: Tensor) -> None:
        places = entered[0] if isinstance(layer, nn.ConvTranspose2d) else output
        counts.append(layer.weight.numel() * places[0, 0].numel())

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
    """From how `others` crops differ from the crop at hand, what to add to the features at each scale of the encoder.

    Nothing in it has a bias and its ways out begin at zero: where others are the crop itself it adds exactly nothing,
    so that a network goes on doing what it did before it was given one. `widths` are the network's, `packed` the values
    of a packed crop.
    """

    def __init__(self, widths: Sequence[int], packed: int, others: int) -> None:
        super().__init__()
        self.others = others
        self.head = nn.Conv2d(others * packed, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList(nn.Conv2d(*step, 2, stride=2, bias=False) for step in pairwise(widths))
        self.middle = nn.ModuleList(Residual(width, bias=False) for width in widths[1:])
        self.out = nn.ModuleList(nn.Conv2d(width, width, 1, bias=False) for width in widths)
        for way in self.out:
            nn.init.zeros_(way.weight)

    def forward(self, differences: Tensor) -> list[Tensor]:
        """N x (others * packed) x H x W to what is added at each scale, from the finest."""
        features = functional.relu(self.head(differences))
        added = [self.out[0](features)]
        for down, middle, out in zip(self.down, self.middle, self.out[1:], strict=True):
            features = middle(functional.relu(down(features)))
            added.append(out(features))
        return added
