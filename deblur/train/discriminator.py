"""Adversarial loss: a discriminator that learns to distinguish restored from sharp faces."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_RATE = 2e-4


class PatchDiscriminator(nn.Module):
    """Patch discriminator of pix2pix (Isola et al., CVPR 2017) with spectral norm (Miyato et al., ICLR 2018).
    N x 3 x H x W in 0..1 to N x 1 x H/8 x W/8, high for sharp patches."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.utils.spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class AdversarialLoss:
    """A discriminator and its optimizer, with the hinge loss (Lim and Ye, "Geometric GAN", 2017)."""

    def __init__(self, device: torch.device) -> None:
        self._discriminator = PatchDiscriminator().to(device)
        self._optimizer = torch.optim.AdamW(self._discriminator.parameters(), _RATE, betas=(0.5, 0.999))

    def generator_loss(self, restored: Tensor) -> Tensor:
        """Compute the loss of the deblurring network."""
        return -self._discriminator(restored).mean()

    def discriminator_step(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Train the discriminator for one step and return its loss."""
        fake, real = self._discriminator(restored.detach()), self._discriminator(sharp)
        loss = functional.relu(1 + fake).mean() + functional.relu(1 - real).mean()
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        return {"critic": self._discriminator.state_dict(), "optimiser": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._discriminator.load_state_dict(state["critic"])
        self._optimizer.load_state_dict(state["optimiser"])
