"""Training configuration: everything that a run depends on except the photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class NetRecipe(BaseModel):
    """Which network: the U-net by its widths and blocks per scale, or the two-scale baseline."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["unet", "two-scale"] = "unet"
    widths: tuple[Annotated[int, Field(gt=0, le=4096)], ...] = Field((32, 64, 128), min_length=1, max_length=8)
    blocks: tuple[Annotated[int, Field(ge=0, le=100)], ...] = (1, 2, 6)
    unshuffle: int = Field(2, ge=1, le=32)
    informed: bool = True
    """Whether the motion is an input, where it is known."""
    others: int = Field(0, ge=0, le=3)
    """Number of neighbor crops that the U-net takes."""

    @model_validator(mode="after")
    def _require_blocks_for_each_width(self) -> Self:
        if len(self.widths) != len(self.blocks):
            raise ValueError(f"widths and blocks are per scale: {len(self.widths)} and {len(self.blocks)} do not agree")
        return self

    @property
    def stride(self) -> int:
        """The sides of crops must be multiples of this."""
        return 2 if self.kind == "two-scale" else self.unshuffle * 2 ** (len(self.widths) - 1)


class LossRecipe(BaseModel):
    """Weights of the losses, relative to the Charbonnier loss, whose weight is 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    spectrum: float = Field(0.05, ge=0, le=1e6)
    regions: float = Field(0, ge=0, le=1e6)
    identity: float = Field(0.1, ge=0, le=1e6)
    identity_from: float = Field(0.6, ge=0, le=1)
    identity_share: float = Field(0.25, gt=0, le=1)
    """Share of each batch for the identity loss: the embedder costs several times what the network does."""
    kernel: float = Field(0.05, gt=0, le=1e6)
    """Of the cross entropy of the estimated kernel; not 0, since the second pass depends on it."""
    adversarial: float = Field(0, ge=0, le=1e6)
    adversarial_from: float = Field(0.6, ge=0, le=1)


class Phase(BaseModel):
    """Part of a run: crops of `side` pixels with blur of up to `reach` pixels, until a share of the run is done."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    until: float = Field(gt=0, le=1)
    side: int = Field(128, ge=32, le=128, multiple_of=16)
    reach: float = Field(40, ge=3, le=48)


class Recipe(BaseModel):
    """A training run. Lengths are in crops, one with two passes counting twice; shares are of the whole run."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    net: NetRecipe = NetRecipe()
    start: Path | None = None
    """ONNX file written by `unblur train` to start from, for example models/weights/deblur.onnx."""
    keep: bool = False
    """Whether the weights from `start` are frozen: only the fusion of neighbor crops is trained, and without neighbors
    the network gives the same result as before, bit for bit."""
    loss: LossRecipe = LossRecipe()
    phases: tuple[Phase, ...] = (
        Phase(until=0.15, side=96, reach=20),
        Phase(until=0.5, side=96, reach=40),
        Phase(until=1, side=128, reach=40),
    )
    crops: int = Field(170_000, gt=0, le=10**12)
    batch: int = Field(16, gt=0, le=65_536)
    rate: float = Field(8e-4, gt=0, le=10)
    warm_up: int = Field(5_000, ge=0, le=10**12)
    weight_decay: float = Field(1e-4, ge=0, le=10)
    clip: float = Field(2, gt=0, le=1e6)
    """Gradients are clipped to this many times their average norm."""
    average: float = Field(0.999, ge=0, lt=1)
    """Decay of the moving average of the weights; the average is validated and exported."""
    workers: int = Field(1, ge=0, le=256)
    """Processes that make the crops; one makes 350 per second."""
    threads: int = Field(0, ge=0, le=1024)
    """Threads of the network on a CPU; 0: one for each core. On a busy computer one thread is faster than threads that
    wait for each other."""
    check_every: int = Field(20_000, gt=0, le=10**12)
    """Crops between validations; a checkpoint is written at each."""
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _require_complete_phases(self) -> Self:
        ends = [phase.until for phase in self.phases]
        if not ends or ends != sorted(set(ends)) or ends[-1] != 1:
            raise ValueError(f"phases end at growing shares of the run, the last at 1, not at {ends}")
        return self

    @model_validator(mode="after")
    def _require_trainable_part(self) -> Self:
        if self.keep and not (self.start and self.net.others):
            raise ValueError("keep: the weights of `start` are frozen, and the fusion of `others` is trained: set both")
        return self

    @model_validator(mode="after")
    def _require_divisible_sides(self) -> Self:
        for side in (*(phase.side for phase in self.phases), 128):
            if side % self.net.stride:
                raise ValueError(f"the net takes crops whose side is a multiple of {self.net.stride}, not {side}")
        return self
