"""What other crops of the same face add to the network: they were blurred otherwise, and know what it lost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from deblur.train.residual import Residual


class Beside(nn.Module):
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
