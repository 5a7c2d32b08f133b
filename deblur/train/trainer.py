"""The training loop: trains a network on photos by a recipe, with checkpoints to resume from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from deblur.train.augmentation import Photo
from deblur.train.checkpoint import read_checkpoint, write_checkpoint
from deblur.train.dataset import Batch, Synthesis
from deblur.train.discriminator import AdversarialLoss
from deblur.train.kernel_head import kernel_softmax
from deblur.train.losses import Embedder, IdentityLoss, charbonnier, kernel_cross_entropy, regional, spectral
from deblur.train.networks import TwoScale, UNet
from deblur.train.onnx_export import weights
from deblur.train.recipe import NetRecipe, Phase, Recipe
from deblur.train.two_pass import TwoPassLoader
from stream.errors import UnblurError
from stream.values import Array, Image

Figures = Mapping[str, float]
"""Losses of a step, or the figures of a validation."""
Validate = Callable[[nn.Module, torch.device], Figures]
"""Validates a network; the best is the one with the highest `score` among its figures."""


_FUSION = "beside"
"""Attribute of the network that a file to start from may lack."""


@dataclass(frozen=True, slots=True)
class Step:
    """Progress of one step: crops trained on so far, losses, and the figures if there was a validation."""

    crops: int
    losses: Figures
    figures: Figures | None
    best: bool


def build_network(recipe: NetRecipe) -> nn.Module:
    """Create the untrained network of a recipe."""
    return (
        TwoScale()
        if recipe.kind == "two-scale"
        else UNet(recipe.widths, recipe.blocks, recipe.unshuffle, recipe.others)
    )


class Trainer:
    """Trains one network; its state is in the folder's checkpoint after every validation.

    Raises ValueError if the folder's checkpoint, or the file to start from, is damaged or of another network.
    """

    def __init__(
        self, recipe: Recipe, photos: Sequence[Photo], folder: Path, check: Validate, embedder: Embedder | None = None
    ) -> None:
        if not photos:
            raise ValueError("there are no photos to train on")
        if recipe.loss.identity and embedder is None:
            raise ValueError("the identity loss needs an embedder")
        torch.manual_seed(recipe.seed)
        self.recipe, self._photos, self._check = recipe, photos, check
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.net = _to_device(_initial_network(recipe), self.device)
        self.ema = deepcopy(self.net).requires_grad_(False)
        self._adversary = AdversarialLoss(self.device) if recipe.loss.adversarial else None
        self._identity = IdentityLoss(_to_device(embedder, self.device)) if embedder and recipe.loss.identity else None
        self._parameters = _trainable_parameters(self.net, recipe.keep)
        self._optimizer = _adam(self._parameters, recipe.rate, recipe.weight_decay)
        torch.set_num_threads(recipe.threads or torch.get_num_threads())
        self.crops, self.best = 0, float("-inf")
        self._grad_norm_ema = 0.0
        self._file = folder / "checkpoint.pt"
        self._best_file = folder / "best.pt"
        folder.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            self._resume()

    def run(self) -> Iterator[Step]:
        """Train to the recipe's end, one step at a time; stopping early loses at most the steps since the last
        checkpoint."""
        for phase in self._phases():
            end = phase.until * self.recipe.crops
            loader = TwoPassLoader(self._batches(phase))
            for batch in loader:
                losses, estimated = self._step(batch)
                if estimated is not None:
                    loader.submit_kernels(estimated)
                before, self.crops = self.crops, self.crops + len(batch.crops)
                done = self.crops >= end
                check_due = self.crops // self.recipe.check_every > before // self.recipe.check_every
                figures = self._validate() if check_due or (done and phase.until == 1) else None
                yield Step(self.crops, losses, figures, figures is not None and figures["score"] == self.best)
                if done:
                    break

    def _phases(self) -> list[Phase]:
        return [phase for phase in self.recipe.phases if self.crops < phase.until * self.recipe.crops]

    def _batches(self, phase: Phase) -> Iterator[Batch]:
        seed = (self.recipe.seed, self.crops)
        source = Synthesis(self._photos, self.recipe.batch, phase.side, phase.reach, seed, self.recipe.net)
        workers = self.recipe.workers
        loader = DataLoader(source, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
        yield from loader

    def _step(self, batch: Batch) -> tuple[Figures, Array | None]:
        """Train on one batch: its losses, and the kernels that the network estimates."""
        self._set_learning_rate()
        crops, hints, sharp = (to_tensor(each, self.device) for each in (batch.crops, batch.hints, batch.sharp))
        others = [to_tensor(batch.others, self.device)] if batch.others.shape[-1] else []
        motion, upright, identity, kernels = self._to_device_tensors(
            batch.motion, batch.upright, batch.identity, batch.kernels
        )
        with mixed_precision(self.device):
            restored, estimated = self.net(crops, hints, motion, *others)
        restored = restored.float()
        losses = self._losses(restored, sharp, upright)
        if self._identity and self._reached(self.recipe.loss.identity_from):
            losses["identity"] = self.recipe.loss.identity * self._identity_loss(restored, identity, upright)
        if estimated is not None:
            losses["kernel"] = self.recipe.loss.kernel * kernel_cross_entropy(estimated, kernels)
        loss = torch.stack(list(losses.values())).sum()
        self._optimizer.zero_grad()
        loss.backward()
        self._clip()
        self._optimizer.step()
        self._update_ema()
        if self._adversary:
            losses["critic"] = self._adversary.discriminator_step(restored, sharp)
        likeliest = None if estimated is None else kernel_softmax(estimated.detach()).cpu().numpy()
        return {name: value.item() for name, value in losses.items()}, likeliest

    def _losses(self, restored: Tensor, sharp: Tensor, upright: Tensor) -> dict[str, Tensor]:
        weights = self.recipe.loss
        losses = {"charbonnier": charbonnier(restored, sharp)}
        if weights.spectrum:
            losses["spectrum"] = weights.spectrum * spectral(restored, sharp)
        if weights.regions:
            losses["regions"] = weights.regions * regional(restored, sharp, upright)
        if self._adversary and self._reached(weights.adversarial_from):
            losses["adversarial"] = weights.adversarial * self._adversary.generator_loss(restored)
        return losses

    def _identity_loss(self, restored: Tensor, identity: Tensor, upright: Tensor) -> Tensor:
        """Compute the identity loss on a share of the faces: the embedder costs several times what the network does."""
        assert self._identity
        count = max(1, round(self.recipe.loss.identity_share * len(restored)))
        with mixed_precision(self.device):
            return self._identity(restored[:count], identity[:count], upright[:count])

    def _reached(self, share: float) -> bool:
        """Return whether this share of the run is done."""
        return self.crops >= share * self.recipe.crops

    def _clip(self) -> None:
        """Clip gradients to a multiple of their average norm: with a fixed bound one outlier batch can undo an hour of
        training."""
        weights = self._parameters
        norm = nn.utils.get_total_norm([each.grad for each in weights if each.grad is not None])
        bound = self.recipe.clip * self._grad_norm_ema if self._grad_norm_ema else float("inf")
        nn.utils.clip_grads_with_norm_(weights, min(bound, float(norm)), norm)
        self._grad_norm_ema += (
            0.02 * (min(float(norm), bound) - self._grad_norm_ema) if self._grad_norm_ema else float(norm)
        )

    def _set_learning_rate(self) -> None:
        """Set the rate: linear warm-up, then half a cosine down to a hundredth."""
        recipe = self.recipe
        progress = min(1.0, self.crops / recipe.crops)
        rate = recipe.rate * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * progress)))
        rate *= min(1.0, (self.crops + recipe.batch) / max(1, recipe.warm_up))
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    @torch.no_grad()
    def _update_ema(self) -> None:
        steps = self.crops / self.recipe.batch
        decay = min(self.recipe.average, (1 + steps) / (10 + steps))  # faster at the start of a run
        averages, weights = list(self.ema.parameters()), list(self.net.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)

    def _to_device_tensors(self, *arrays: Array) -> Iterator[Tensor]:
        return (torch.as_tensor(array).to(self.device, non_blocking=True) for array in arrays)

    def _validate(self) -> Figures:
        figures = self._check(self.ema, self.device)
        if not math.isfinite(figures["score"]):
            raise UnblurError(f"training went astray before {self.crops:,} crops: go on with a lower `rate`")
        if figures["score"] > self.best:
            self.best = figures["score"]
            write_checkpoint(
                self._best_file, {"net": self.ema.state_dict(), "crops": self.crops, "figures": dict(figures)}
            )
        self.save()
        return figures

    def save(self) -> None:
        """Write the checkpoint that a run resumes from."""
        write_checkpoint(self._file, self._state())

    def best_net(self) -> nn.Module:
        """Load the network with the best validation score."""
        net = build_network(self.recipe.net)
        net.load_state_dict(read_checkpoint(self._best_file, self.device)["net"])
        return net

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "recipe": self.recipe.model_dump(mode="json"),
            "crops": self.crops,
            "best": self.best,
            "usual": self._grad_norm_ema,
            "net": self.net.state_dict(),
            "average": self.ema.state_dict(),
            "optimiser": self._optimizer.state_dict(),
        }
        if self._adversary:
            state["opponent"] = self._adversary.state_dict()
        return state

    def _resume(self) -> None:
        state = read_checkpoint(self._file, self.device)
        if state["recipe"]["net"] != self.recipe.net.model_dump(mode="json"):
            raise ValueError(f"{self._file} is of another network: {state['recipe']['net']}")
        self.crops, self.best, self._grad_norm_ema = state["crops"], state["best"], state["usual"]
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimiser"])
        if self._adversary and "opponent" in state:
            self._adversary.load_state_dict(state["opponent"])


def _initial_network(recipe: Recipe) -> nn.Module:
    """Build the network, with the weights of the file to start from, if any."""
    net = build_network(recipe.net)
    if recipe.start:
        try:
            absent, foreign = net.load_state_dict(weights(recipe.start), strict=False)
        except RuntimeError as error:
            raise ValueError(f"{recipe.start} is of another network than the recipe's: {error}") from error
        if wrong := [*foreign, *(name for name in absent if not name.startswith(_FUSION))]:
            raise ValueError(f"{recipe.start} is of another network than the recipe's: {wrong[0]}")
    return net


def mixed_precision(device: torch.device) -> torch.autocast:
    """Return a bfloat16 context, enabled where it is faster: CUDA, and CPUs with AMX tiles."""
    fast = device.type == "cuda" or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def to_tensor(images: Image, device: torch.device) -> Tensor:
    """Convert N x H x W x 3 bytes to N x 3 x H x W in 0..1 on the device."""
    moved = torch.as_tensor(images).to(device, non_blocking=True)
    return (moved.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)


def _to_device(net: nn.Module, device: torch.device) -> nn.Module:
    """Move to the device, in channels-last order, in which half-precision convolutions are fastest."""
    return net.to(device).to(memory_format=torch.channels_last)


def _trainable_parameters(net: nn.Module, keep: bool) -> list[nn.Parameter]:
    """Return the parameters that a run trains."""
    if keep:
        net.requires_grad_(False)
        net.get_submodule(_FUSION).requires_grad_(True)
    return [weight for weight in net.parameters() if weight.requires_grad]


def _adam(weights: Sequence[nn.Parameter], rate: float, decay: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(weights, rate, weight_decay=decay, foreach=True)
