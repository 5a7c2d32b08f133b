"""What is told of a developed photo, to programs as JSON and to people on its page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from stream.values import Method as Restorer
from unblur.web.photos.photo_worker import Method, QualityGain
from unblur.web.photos.result_cache import CachedResult
from unblur.web.transport.openapi import ROOT


class Likeness(BaseModel):
    """To the sharp original. `psnr` is in dB, and null where the two are equal."""

    model_config = ConfigDict(from_attributes=True)
    psnr: Annotated[float | None, BeforeValidator(lambda psnr: None if psnr == math.inf else psnr)]
    ssim: float


class Gained(BaseModel):
    """How near to the sharp original it was, and is."""

    model_config = ConfigDict(from_attributes=True)
    before: Likeness
    after: Likeness


class Nearest(BaseModel):
    """Somebody known, and the cosine similarity to them."""

    name: str
    score: float


class FaceInPhoto(BaseModel):
    """A face, as `unblur image` tells it: `name` is null for nobody known, `box` is left, top, width and height in
    pixels. `raw` and `restored` lead to its crop; `restored` is null if it was left alone."""

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
    """Where the photo is, as it came and restored, and both side by side."""

    original: str
    restored: str
    sheet: str


class DevelopedPhoto(BaseModel):
    """A photo with its faces, largest first. After `until` it and its pictures are gone."""

    id: str
    page: str
    until: datetime
    method: Method
    width: int
    height: int
    faces: list[FaceInPhoto]
    remark: str | None = None
    pictures: Pictures
    gain: Gained | None


def to_response(kept: CachedResult) -> DevelopedPhoto:
    developed = kept.developed
    links = {name: f"{ROOT}/photos/{kept.id}/{name}.png" for name in developed.pictures}
    faces = zip(developed.faces, developed.gains, strict=True)
    return DevelopedPhoto(
        id=kept.id,
        page=f"/photo/{kept.id}",
        until=kept.until,
        method=kept.method,
        width=developed.width,
        height=developed.height,
        remark=developed.remark,
        faces=[_face(number, *face, links) for number, face in enumerate(faces, 1)],
        pictures=Pictures.model_validate(links),
        gain=_gained(developed.gain),
    )


def _face(number: int, face: Mapping[str, object], gain: QualityGain | None, links: Mapping[str, str]) -> FaceInPhoto:
    crops = {"raw": links[f"face-{number}-raw"], "restored": links.get(f"face-{number}-restored")}
    return FaceInPhoto.model_validate({**face, **crops, "gain": _gained(gain)})


def _gained(gain: QualityGain | None) -> Gained | None:
    return None if gain is None else Gained.model_validate(gain)
