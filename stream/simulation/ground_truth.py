"""Ground truth of a simulated clip: who is visible, when and where."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stream.errors import SourceError
from stream.simulation.scene import Scene, WalkerPath
from stream.simulation.sensor import Sensor
from stream.storage.atomic_files import part_file
from stream.values import Box

SpeedClass = Literal["slow", "medium", "fast"]
VISIBLE = 0.5
"""The least share of a face box, inside the frame and with nothing before it, that counts as visible."""


def speed_class(speed: float) -> SpeedClass:
    """Slow walks sharp enough to name as they are; fast ones (over 20 pixels a frame) blurred beyond that."""
    return "slow" if speed < 8 else "medium" if speed <= 20 else "fast"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GroundTruthBox(_Record):
    """A face in one frame, in the middle of its exposure: its box (left, top, width, height) in pixels of the frame,
    and the share of it that can be seen (VISIBLE..1)."""

    frame: int = Field(ge=0)
    box: tuple[float, float, float, float]
    visible: float = Field(ge=VISIBLE, le=1)


class Appearance(_Record):
    """One person's passage, with a sighting for every frame in which the face is visible, in order.

    `velocity` is in pixels per frame and holds for the whole passage; `velocity` times `shutter` is the true blur.
    `person` is the name in the gallery if `known`, else that of a person who is not in it.
    """

    person: str
    known: bool
    picture: str
    velocity: tuple[float, float]
    speed: float
    speed_class: SpeedClass
    shutter: float
    first_frame: int
    last_frame: int
    sightings: tuple[GroundTruthBox, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (self.first_frame, self.last_frame) != (self.sightings[0].frame, self.sightings[-1].frame):
            raise ValueError("first_frame and last_frame are those of the first and last sighting")
        return self


class GroundTruth(_Record):
    """The ground truth of a clip."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    width: int
    height: int
    fps: int = Field(gt=0)
    frames: int
    seed: int
    appearances: tuple[Appearance, ...]

    @classmethod
    def of(cls, scene: Scene) -> Self:
        """The truth of a scene; who is never visible has no appearance. Ordered by first frame."""
        sensor = Sensor(scene)
        found = (_appearance(sensor, passage) for passage in scene.passages)
        appearances = sorted((one for one in found if one), key=lambda one: (one.first_frame, one.person))
        return cls(
            width=scene.width,
            height=scene.height,
            fps=scene.fps,
            frames=scene.frames,
            seed=scene.seed,
            appearances=tuple(appearances),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises SourceError if there is no such file or it is not a truth."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise SourceError(f"cannot read the truth {path}: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise SourceError(f"{path} is not the truth of a simulated clip: {where}: {first['msg']}") from error

    def save(self, path: Path) -> None:
        with part_file(path) as part:
            part.write_text(self.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")


def _appearance(sensor: Sensor, passage: WalkerPath) -> Appearance | None:
    sightings = tuple(seen for index in range(sensor.scene.frames) if (seen := _sighting(sensor, passage, index)))
    if not sightings:
        return None
    return Appearance(
        person=passage.person,
        known=passage.known,
        picture=passage.picture,
        velocity=passage.velocity,
        speed=passage.speed,
        speed_class=speed_class(passage.speed),
        shutter=sensor.scene.shutter,
        first_frame=sightings[0].frame,
        last_frame=sightings[-1].frame,
        sightings=sightings,
    )


def _sighting(sensor: Sensor, passage: WalkerPath, index: int) -> GroundTruthBox | None:
    box = passage.face(index)
    visible = _inside(box, sensor.scene)
    if visible >= VISIBLE:
        visible -= sensor.hidden(index, passage)
    if visible < VISIBLE:
        return None
    left, top, width, height = (round(part, 2) for part in (box.x, box.y, box.width, box.height))
    return GroundTruthBox(frame=index, box=(left, top, width, height), visible=round(visible, 3))


def _inside(box: Box, scene: Scene) -> float:
    """The share of a box that lies inside the frame."""
    width = min(box.x + box.width, scene.width) - max(box.x, 0)
    height = min(box.y + box.height, scene.height) - max(box.y, 0)
    return max(width, 0) * max(height, 0) / box.area
