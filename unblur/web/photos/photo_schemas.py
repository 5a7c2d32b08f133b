"""Response models of a restored photo, for REST and for its page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from stream.values import Method as Restorer
from unblur.web.photos.photo_worker import QualityGain, RestorationChoice
from unblur.web.photos.result_cache import CachedResult
from unblur.web.transport.openapi import ROOT


class Likeness(BaseModel):
    """Similarity to the sharp original. `psnr` is in dB, null if both are equal."""

    model_config = ConfigDict(from_attributes=True)
    psnr: Annotated[float | None, BeforeValidator(lambda psnr: None if psnr == math.inf else psnr)]
    ssim: float


class Gained(BaseModel):
    """Similarity to the sharp original, before and after restoration."""

    model_config = ConfigDict(from_attributes=True)
    before: Likeness
    after: Likeness


class Nearest(BaseModel):
    """A person of the gallery, and the cosine similarity to them."""

    name: str
    score: float


class FaceInPhoto(BaseModel):
    """A face, as `unblur image` reports it: `name` is null for an unknown person, `box` is left, top, width and height
    in pixels. `raw` and `restored` are the paths of its crop; `restored` is null if it was not deblurred."""

    name: str | None
    description: str | None
    score: float
    threshold: float
    runner_up: Nearest | None
    raw_score: float
    restored_score: float | None
    deblurred_by: Restorer
    blur: float
    box: tuple[int, int, int, int]
    raw: str
    restored: str | None
    gain: Gained | None


class Pictures(BaseModel):
    """Paths of the photo, original and restored, and of both side by side."""

    original: str
    restored: str
    sheet: str


class DevelopedPhoto(BaseModel):
    """A restored photo with its faces, largest first. At `until` it and its images are deleted."""

    id: str
    page: str
    until: datetime
    method: RestorationChoice
    width: int
    height: int
    faces: list[FaceInPhoto]
    remark: str | None = None
    pictures: Pictures
    gain: Gained | None


def to_response(result: CachedResult) -> DevelopedPhoto:
    """Convert a cached result to its response model."""
    developed = result.developed
    links = {name: f"{ROOT}/photos/{result.id}/{name}.png" for name in developed.pictures}
    faces = zip(developed.faces, developed.gains, strict=True)
    return DevelopedPhoto(
        id=result.id,
        page=f"/photo/{result.id}",
        until=result.until,
        method=result.method,
        width=developed.width,
        height=developed.height,
        remark=developed.remark,
        faces=[_face_response(number, *face, links) for number, face in enumerate(faces, 1)],
        pictures=Pictures.model_validate(links),
        gain=_gain_response(developed.gain),
    )


def _face_response(
    number: int, face: Mapping[str, object], gain: QualityGain | None, links: Mapping[str, str]
) -> FaceInPhoto:
    crops = {"raw": links[f"face-{number}-raw"], "restored": links.get(f"face-{number}-restored")}
    return FaceInPhoto.model_validate({**face, **crops, "gain": _gain_response(gain)})


def _gain_response(gain: QualityGain | None) -> Gained | None:
    return None if gain is None else Gained.model_validate(gain)
