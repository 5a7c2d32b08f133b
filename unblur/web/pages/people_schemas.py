"""Request and response models of the people endpoints."""

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
    """Normalize a name. Raises ValueError, the only error that pydantic accepts for an invalid value."""
    try:
        return normalize_name(name)
    except UsageError as error:
        raise ValueError(str(error)) from error


def _normalize_text(text: str) -> str:
    try:
        return normalize_text(text, LONGEST_DESCRIPTION)
    except UsageError as error:
        raise ValueError(str(error)) from error


PersonName = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_normalize_name)]
"""A valid name of a person (`stream.names`)."""
PersonDescription = Annotated[str, Field(max_length=LONGEST_DESCRIPTION), AfterValidator(_normalize_text)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=100)]
_JPEG_QUALITY = 90


class KnownPhoto(BaseModel):
    """A photo of an enrolled person; `picture` is null if only its embedding is stored."""

    id: str
    picture: str | None


class KnownPerson(BaseModel):
    """An enrolled person. The id is derived from the name."""

    id: str
    name: str
    description: str | None
    photos: list[KnownPhoto]


class KnownPeople(BaseModel):
    """All enrolled people."""

    people: list[KnownPerson]


class PhotoFinding(BaseModel):
    """A finding against a photo, with its reason."""

    kind: str
    why: str


class ProposedPhoto(BaseModel):
    """A reviewed photo: the detected face as a data URL, and the findings. A photo that is not `usable` cannot be
    enrolled; another with findings only if it is confirmed."""

    id: str
    name: str
    picture: str | None
    usable: bool
    findings: list[PhotoFinding]


class ProposedPhotos(BaseModel):
    """Photos reviewed together."""

    photos: list[ProposedPhoto]


class WhichPerson(BaseModel):
    """A person by id."""

    id: Id


class WhichPhoto(WhichPerson):
    """A photo of a person, by ids."""

    photo: Id


class Proposal(BaseModel):
    """The person whom photos are for, null for a new one; and the ids (comma-separated) of photos reviewed before for
    the same person (`beside`)."""

    person: Id | None = None
    beside: Annotated[str, Field(max_length=5000)] = ""

    def others(self) -> list[str]:
        return [each for each in self.beside.split(",") if each]


class EventCrop(Proposal):
    """The raw crop of an event."""

    event: Id


class EnrollmentRequest(BaseModel):
    """A new person, by reviewed photos; `sure` are the usable ones to enroll in spite of their findings."""

    name: PersonName
    description: PersonDescription | None = None
    photos: Ids
    sure: Annotated[list[Id], Field(max_length=100)] = []


class Addition(WhichPerson):
    """More photos of a person; see `Enrolment`."""

    photos: Ids
    sure: Annotated[list[Id], Field(max_length=100)] = []


class PersonRevision(WhichPerson):
    """A new name, or a new description (empty: none)."""

    name: PersonName | None = None
    description: PersonDescription | None = None


class Merging(WhichPerson):
    """The person into whom another is merged; `sure` confirms the merge although their faces differ."""

    into: Id
    sure: bool = False


def to_response(photo: ReviewedPhoto) -> ProposedPhoto:
    """Convert a reviewed photo to its response model."""
    picture = None
    if photo.crop is not None:
        jpeg = cv2.imencode(".jpg", photo.crop, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
        picture = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    findings = [PhotoFinding(kind=kind, why=why) for kind, why in photo.findings.items()]
    return ProposedPhoto(id=photo.id, name=photo.name, picture=picture, usable=is_usable(photo), findings=findings)
