"""The people pages and endpoints: enroll, rename, merge and delete people, add and remove their photos."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256

from aiohttp import web

from recognize.gallery.people_gallery import Gallery
from stream.errors import UsageError
from stream.values import Image
from unblur.people.gallery_service import GalleryService
from unblur.people.photo_review import PhotoReviewer, ReviewedPhoto, describe_issues, require_usable
from unblur.web.pages import people_schemas
from unblur.web.pages.pending_photos import PendingPhotos
from unblur.web.pages.people_schemas import (
    Addition,
    EnrollmentRequest,
    KnownPeople,
    KnownPerson,
    Merging,
    PersonRevision,
    Proposal,
    ProposedPhotos,
    WhichPerson,
    WhichPhoto,
)
from unblur.web.photos.uploads import REQUEST, Uploads
from unblur.web.transport.access import require_role
from unblur.web.transport.errors import map_errors
from unblur.web.transport.openapi import Endpoint, Nothing
from unblur.web.transport.rendering import render

MOST = 20
"""Photos in one request at most."""
BYTES = REQUEST - (1 << 20)
"""Bytes of the photos in one request; the rest is for the form."""
LONG_SIDE = 2048
"""Pixels of a photo's longer side: larger ones are shrunk, so that twenty of them fit into memory."""


class PeoplePage:
    """The page of all people, the page of each person, and their REST endpoints.

    `evidence` returns the aligned raw crop of an event by its id, None if there is none.
    """

    name = "people"
    path = "/people"

    def __init__(
        self, people: GalleryService, reviewer: PhotoReviewer, uploads: Uploads, evidence: Callable[[str], Image | None]
    ) -> None:
        self._people, self._reviewer, self._uploads, self._evidence = people, reviewer, uploads, evidence
        self._pending = PendingPhotos()

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/people", self._page),
            web.get("/people/{id}", self._person_page),
            web.get("/faces/{photo}.png", self._face),
        ]

    def operations(self) -> list[Endpoint]:
        one = "/people/{id}"
        return [
            Endpoint("GET", "/people", "All enrolled people", self._list, response_model=KnownPeople),
            Endpoint("GET", "/people/photos", "Findings on photos reviewed before",
                      self._get_findings, Proposal, ProposedPhotos, "operator"),
            Endpoint("GET", one, "An enrolled person", self._get, WhichPerson, KnownPerson),
            Endpoint("POST", "/people", "Enroll a person", self._enrol, EnrollmentRequest, KnownPerson, "operator"),
            Endpoint("PATCH", one, "Rename or describe", self._revise, PersonRevision, KnownPerson, "operator"),
            Endpoint("DELETE", one, "Delete a person", self._delete, WhichPerson, Nothing, "operator"),
            Endpoint("POST", f"{one}/merge", "Merge two people", self._merge, Merging, KnownPerson, "operator"),
            Endpoint("POST", f"{one}/photos", "Add photos to a person", self._add, Addition, KnownPerson, "operator"),
            Endpoint("DELETE", f"{one}/photos/{{photo}}", "Delete a photo", self._remove, WhichPhoto, KnownPerson,
                      "operator"),
            Endpoint("POST", "/people/photos", "Review photos to enroll, together with those reviewed before",
                      self._review_uploads, Proposal, ProposedPhotos, "operator", ("photo",)),
            Endpoint("POST", "/people/crops", "Review the raw crop of an event, together with photos reviewed before",
                      self._review_event_crop, people_schemas.EventCrop, ProposedPhotos, "operator"),
        ]  # fmt: skip

    async def _page(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        return render(request, "people", people=await asyncio.to_thread(self._list_people), most=MOST, bytes=BYTES)

    async def _person_page(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        with map_errors():
            person = await asyncio.to_thread(self._find_person, request.match_info["id"])
        others = [other for other in await asyncio.to_thread(self._list_people) if other.id != person.id]
        return render(request, "person", person=person, others=others, most=MOST, bytes=BYTES)

    async def _face(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        with map_errors():
            content = await asyncio.to_thread(self._people.face, request.match_info["photo"])
        if content is None:
            raise web.HTTPNotFound(text="there is no such picture")
        return web.Response(body=content, content_type="image/png", headers={"Cache-Control": "private, no-cache"})

    async def _list(self, _: web.Request, __: Nothing) -> KnownPeople:
        return KnownPeople(people=await asyncio.to_thread(self._list_people))

    async def _get(self, _: web.Request, which: WhichPerson) -> KnownPerson:
        with map_errors():
            return await asyncio.to_thread(self._find_person, which.id)

    async def _enrol(self, request: web.Request, new: EnrollmentRequest) -> KnownPerson:
        def enrol() -> KnownPerson:
            photos = self._require_enrollable(None, new.photos, new.sure)
            name = self._people.enroll(new.name, new.description, photos, _operator_name(request))
            self._pending.drop(photos)
            return self._find_person(person_id(name))

        with map_errors():
            return await asyncio.to_thread(enrol)

    async def _add(self, request: web.Request, more: Addition) -> KnownPerson:
        def add() -> KnownPerson:
            name = self._name(more.id)
            photos = self._require_enrollable(name, more.photos, more.sure)
            self._people.add(name, photos, _operator_name(request))
            self._pending.drop(photos)
            return self._find_person(more.id)

        with map_errors():
            return await asyncio.to_thread(add)

    async def _revise(self, request: web.Request, revision: PersonRevision) -> KnownPerson:
        def revise() -> KnownPerson:
            name = self._name(revision.id)
            if revision.name is not None:
                name = self._people.rename(name, revision.name, _operator_name(request))
            if revision.description is not None:
                self._people.describe(name, revision.description, _operator_name(request))
            return self._find_person(person_id(name))

        with map_errors():
            return await asyncio.to_thread(revise)

    async def _merge(self, request: web.Request, merging: Merging) -> KnownPerson:
        def merge() -> KnownPerson:
            self._people.merge(self._name(merging.id), self._name(merging.into), _operator_name(request), merging.sure)
            return self._find_person(merging.into)

        with map_errors():
            return await asyncio.to_thread(merge)

    async def _delete(self, request: web.Request, which: WhichPerson) -> Nothing:
        with map_errors():
            await asyncio.to_thread(lambda: self._people.delete(self._name(which.id), _operator_name(request)))
        return Nothing()

    async def _remove(self, request: web.Request, which: WhichPhoto) -> KnownPerson:
        def remove() -> KnownPerson:
            self._people.remove(self._name(which.id), which.photo, _operator_name(request))
            return self._find_person(which.id)

        with map_errors():
            return await asyncio.to_thread(remove)

    async def _get_findings(self, _: web.Request, proposal: Proposal) -> ProposedPhotos:
        with map_errors():
            return await asyncio.to_thread(self._review, (), proposal)

    async def _review_uploads(self, request: web.Request, proposal: Proposal) -> ProposedPhotos:
        uploads = await self._uploads.pictures(request, "photo", MOST, LONG_SIDE)

        def review() -> ProposedPhotos:
            photos = [
                self._reviewer.check_picture(upload.name, upload.image, upload.fault, upload.remark)
                for upload in uploads
            ]
            return self._review(photos, proposal)

        with map_errors():
            return await asyncio.to_thread(review)

    async def _review_event_crop(self, _: web.Request, crop: people_schemas.EventCrop) -> ProposedPhotos:
        def review() -> ProposedPhotos:
            image = self._evidence(crop.event)
            if image is None:
                raise KeyError(crop.event)
            return self._review([self._reviewer.check_crop("crop", image)], crop)

        with map_errors():
            return await asyncio.to_thread(review)

    def _review(self, photos: Sequence[ReviewedPhoto], proposal: Proposal) -> ProposedPhotos:
        name = self._name(proposal.person) if proposal.person else None
        pending = self._pending.get(proposal.others())
        self._pending.put(photos)
        return ProposedPhotos(
            photos=[
                people_schemas.to_response(photo)
                for photo in self._reviewer.review([*pending, *photos], name, self._people.gallery)
            ]
        )

    def _require_enrollable(self, name: str | None, ids: Sequence[str], sure: Sequence[str]) -> list[ReviewedPhoto]:
        """The pending photos with these ids. Raises UsageError if one of them is unusable, or has findings and is not
        confirmed in `sure`."""
        photos = self._reviewer.review(self._pending.get(ids), name, self._people.gallery)
        require_usable(photos)
        for photo in photos:
            if photo.findings and photo.id not in sure:
                raise UsageError(f"{photo.name}: {describe_issues(photo)}: confirm it, or leave it out")
        return photos

    def _list_people(self) -> list[KnownPerson]:
        gallery = self._people.gallery
        return [self._to_response(gallery, name) for name in sorted(gallery.names, key=str.casefold)]

    def _find_person(self, id: str) -> KnownPerson:
        return self._to_response(self._people.gallery, self._name(id))

    def _to_response(self, gallery: Gallery, name: str) -> KnownPerson:
        person = gallery.people[name]
        photos = [
            people_schemas.KnownPhoto(id=photo, picture=f"/faces/{photo}.png" if self._people.has_face(photo) else None)
            for photo in person.photos
        ]
        return KnownPerson(id=person_id(name), name=name, description=person.description, photos=photos)

    def _name(self, id: str) -> str:
        """The name of the person with this id. Raises KeyError."""
        return {person_id(name): name for name in self._people.gallery.names}[id]


def person_id(name: str) -> str:
    """The id of the person of this name: 16 hexadecimal digits, which do not reveal the name."""
    return sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]


def _operator_name(request: web.Request) -> str:
    return require_role(request, "operator").name
