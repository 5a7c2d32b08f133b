"""What the REST interface says of people, and is told."""

from __future__ import annotations

import base64
from typing import Annotated

import cv2
from pydantic import AfterValidator, BaseModel, Field

from stream.errors import UsageError
from stream.names import LONGEST, normalize_name, normalize_text
from unblur.people.photo_review import ReviewedPhoto, is_usable

LONGEST_DESCRIPTION = 2000
Id = Annotated[str, Field(max_length=64)]


def _normalize_name(name: str) -> str:
    """Pydantic takes no other error than ValueError for a value that does not fit."""
    try:
        return normalize_name(name)
    except UsageError as error:
        raise ValueError(str(error)) from error


def _normalize_text(text: str) -> str:
    try:
        return normalize_text(text, LONGEST_DESCRIPTION)
    except UsageError as error:
        raise ValueError(str(error)) from error


Name = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_normalize_name)]
"""A name that somebody may be given (`stream.names`)."""
Description = Annotated[str, Field(max_length=LONGEST_DESCRIPTION), AfterValidator(_normalize_text)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=100)]
_JPEG = 90


class KnownPhoto(BaseModel):
    """A photo that somebody is known by; `picture` is null where only its embedding is there."""

    id: str
    picture: str | None


class KnownPerson(BaseModel):
    """Somebody who is known. The id follows the name."""

    id: str
    name: str
    description: str | None
    photos: list[KnownPhoto]


class KnownPeople(BaseModel):
    """Everybody."""

    people: list[KnownPerson]


class PhotoFinding(BaseModel):
    """What speaks against a photo, and a word on why."""

    kind: str
    why: str


class ProposedPhoto(BaseModel):
    """A photo that was looked at: the face that was found on it, as a data URL, and what speaks against it. One that is
    not `usable` cannot be enrolled, whoever is sure; another with findings only by somebody who is sure."""

    id: str
    name: str
    picture: str | None
    usable: bool
    findings: list[PhotoFinding]


class ProposedPhotos(BaseModel):
    """Photos, as they stand beside each other."""

    photos: list[ProposedPhoto]


class WhichPerson(BaseModel):
    """Somebody."""

    id: Id


class WhichPhoto(WhichPerson):
    """A photo of somebody."""

    photo: Id


class Proposal(BaseModel):
    """For whom photos are meant, null for somebody new, and the ids (with commas between) of those that were looked at
    before and are meant for the same person."""

    person: Id | None = None
    beside: Annotated[str, Field(max_length=5000)] = ""

    def others(self) -> list[str]:
        return [each for each in self.beside.split(",") if each]


class EventCrop(Proposal):
    """The raw crop of an event."""

    event: Id


class Enrolment(BaseModel):
    """Somebody new, by photos that were looked at; `sure` are those to be enrolled in spite of what was found, which
    takes a usable one."""

    name: Name
    description: Description | None = None
    photos: Ids
    sure: Annotated[list[Id], Field(max_length=100)] = []


class Addition(WhichPerson):
    """More photos of somebody; see `Enrolment`."""

    photos: Ids
    sure: Annotated[list[Id], Field(max_length=100)] = []


class PersonRevision(WhichPerson):
    """Another name, another description (empty: none)."""

    name: Name | None = None
    description: Description | None = None


class Merging(WhichPerson):
    """Into whom somebody is merged; `sure`, if they are to become one although they do not look like it."""

    into: Id
    sure: bool = False


def shown(shot: ReviewedPhoto) -> ProposedPhoto:
    """A shot as it is answered."""
    picture = None
    if shot.crop is not None:
        jpeg = cv2.imencode(".jpg", shot.crop, [cv2.IMWRITE_JPEG_QUALITY, _JPEG])[1].tobytes()
        picture = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    findings = [PhotoFinding(kind=kind, why=why) for kind, why in shot.findings.items()]
    return ProposedPhoto(id=shot.id, name=shot.name, picture=picture, usable=is_usable(shot), findings=findings)
