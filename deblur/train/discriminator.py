"""The adversarial term: a network that learns to tell restored faces from sharp ones, for ours to fool."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_RATE = 2e-4


class PatchDiscriminator(nn.Module):
    """Judges patches: pix2pix's discriminator (Isola et al., CVPR 2017) with spectral norm (Miyato et al., ICLR 2018).
    N x 3 x H x W in 0..1 to N x 1 x H/8 x W/8, high for what looks sharp."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for entering, leaving in pairwise(widths):
            layers += [nn.utils.spectral_norm(nn.Conv2d(entering, leaving, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures)


class AdversarialLoss:
    """A critic and what trains it, by the hinge loss (Lim and Ye, "Geometric GAN", 2017)."""

    def __init__(self, device: torch.device) -> None:
        self._critic = PatchDiscriminator().to(device)
        self._optimiser = torch.optim.AdamW(self._critic.parameters(), _RATE, betas=(0.5, 0.999))

    def generator_loss(self, restored: Tensor) -> Tensor:
        """What our network lowers."""
        return -self._critic(restored).mean()

    def discriminator_step(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """One step of the critic; its loss."""
        fooled, true = self._critic(restored.detach()), self._critic(sharp)
        loss = functional.relu(1 + fooled).mean() + functional.relu(1 - true).mean()
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        return {"critic": self._critic.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._critic.load_state_dict(state["critic"])
        self._optimiser.load_state_dict(state["optimiser"])
