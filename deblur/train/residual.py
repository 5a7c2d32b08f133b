"""What both parts of the network are built of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity. No norm: it costs time and helps deblurring little (Nah et al.,
    CVPR 2017)."""

    def __init__(self, width: int, bias: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(functional.relu(self.first(features)))
