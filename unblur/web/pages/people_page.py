"""People: who is known, by which photos; enrolling, renaming, merging and deleting them."""

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
    Enrolment,
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
"""Photos in one request."""
BYTES = REQUEST - (1 << 20)
"""Of the photos in it; the rest is for the form."""
LONG_SIDE = 2048
"""Of a photo as it is looked at: larger ones are shrunk, so that twenty of them fit into memory."""


class PeoplePage:
    """The page of all people, each one's own, and their part of the REST interface.

    `evidence` gives the aligned raw crop of an event by its id, None if there is none.
    """

    name = "people"
    path = "/people"

    def __init__(
        self, people: GalleryService, examiner: PhotoReviewer, uploads: Uploads, evidence: Callable[[str], Image | None]
    ) -> None:
        self._people, self._examiner, self._uploads, self._evidence = people, examiner, uploads, evidence
        self._tray = PendingPhotos()

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/people", self._page),
            web.get("/people/{id}", self._person_page),
            web.get("/faces/{photo}.png", self._face),
        ]

    def operations(self) -> list[Endpoint]:
        one = "/people/{id}"
        return [
            Endpoint("GET", "/people", "Everybody who is known", self._list, response_model=KnownPeople),
            Endpoint("GET", "/people/photos", "What is to be said of photos that were looked at",
                      self._judge, Proposal, ProposedPhotos, "operator"),
            Endpoint("GET", one, "Somebody who is known", self._get, WhichPerson, KnownPerson),
            Endpoint("POST", "/people", "Enrol somebody new", self._enrol, Enrolment, KnownPerson, "operator"),
            Endpoint("PATCH", one, "Rename or describe", self._revise, PersonRevision, KnownPerson, "operator"),
            Endpoint("DELETE", one, "Forget somebody", self._delete, WhichPerson, Nothing, "operator"),
            Endpoint("POST", f"{one}/merge", "Make two one", self._merge, Merging, KnownPerson, "operator"),
            Endpoint("POST", f"{one}/photos", "Add photos to somebody", self._add, Addition, KnownPerson, "operator"),
            Endpoint("DELETE", f"{one}/photos/{{photo}}", "Forget a photo", self._remove, WhichPhoto, KnownPerson,
                      "operator"),
            Endpoint("POST", "/people/photos", "Look at photos that may be enrolled, and at what was looked at before",
                      self._look, Proposal, ProposedPhotos, "operator", ("photo",)),
            Endpoint("POST", "/people/crops", "Look at the raw crop of an event, and at what was looked at before",
                      self._look_at_event, people_schemas.EventCrop, ProposedPhotos, "operator"),
        ]  # fmt: skip

    async def _page(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        return render(request, "people", people=await asyncio.to_thread(self._everybody), most=MOST, bytes=BYTES)

    async def _person_page(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        with map_errors():
            person = await asyncio.to_thread(self._somebody, request.match_info["id"])
        others = [other for other in await asyncio.to_thread(self._everybody) if other.id != person.id]
        return render(request, "person", person=person, others=others, most=MOST, bytes=BYTES)

    async def _face(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        with map_errors():
            content = await asyncio.to_thread(self._people.face, request.match_info["photo"])
        if content is None:
            raise web.HTTPNotFound(text="there is no such picture")
        return web.Response(body=content, content_type="image/png", headers={"Cache-Control": "private, no-cache"})

    async def _list(self, _: web.Request, __: Nothing) -> KnownPeople:
        return KnownPeople(people=await asyncio.to_thread(self._everybody))

    async def _get(self, _: web.Request, which: WhichPerson) -> KnownPerson:
        with map_errors():
            return await asyncio.to_thread(self._somebody, which.id)

    async def _enrol(self, request: web.Request, new: Enrolment) -> KnownPerson:
        def enrol() -> KnownPerson:
            shots = self._chosen(None, new.photos, new.sure)
            name = self._people.enroll(new.name, new.description, shots, _who(request))
            self._tray.drop(shots)
            return self._somebody(person_id(name))

        with map_errors():
            return await asyncio.to_thread(enrol)

    async def _add(self, request: web.Request, more: Addition) -> KnownPerson:
        def add() -> KnownPerson:
            name = self._name(more.id)
            shots = self._chosen(name, more.photos, more.sure)
            self._people.add(name, shots, _who(request))
            self._tray.drop(shots)
            return self._somebody(more.id)

        with map_errors():
            return await asyncio.to_thread(add)

    async def _revise(self, request: web.Request, revision: PersonRevision) -> KnownPerson:
        def revise() -> KnownPerson:
            name = self._name(revision.id)
            if revision.name is not None:
                name = self._people.rename(name, revision.name, _who(request))
            if revision.description is not None:
                self._people.describe(name, revision.description, _who(request))
            return self._somebody(person_id(name))

        with map_errors():
            return await asyncio.to_thread(revise)

    async def _merge(self, request: web.Request, merging: Merging) -> KnownPerson:
        def merge() -> KnownPerson:
            self._people.merge(self._name(merging.id), self._name(merging.into), _who(request), merging.sure)
            return self._somebody(merging.into)

        with map_errors():
            return await asyncio.to_thread(merge)

    async def _delete(self, request: web.Request, which: WhichPerson) -> Nothing:
        with map_errors():
            await asyncio.to_thread(lambda: self._people.delete(self._name(which.id), _who(request)))
        return Nothing()

    async def _remove(self, request: web.Request, which: WhichPhoto) -> KnownPerson:
        def remove() -> KnownPerson:
            self._people.remove(self._name(which.id), which.photo, _who(request))
            return self._somebody(which.id)

        with map_errors():
            return await asyncio.to_thread(remove)

    async def _judge(self, _: web.Request, proposal: Proposal) -> ProposedPhotos:
        with map_errors():
            return await asyncio.to_thread(self._looked, (), proposal)

    async def _look(self, request: web.Request, proposal: Proposal) -> ProposedPhotos:
        sent = await self._uploads.pictures(request, "photo", MOST, LONG_SIDE)

        def look() -> ProposedPhotos:
            shots = [self._examiner.check_picture(each.name, each.image, each.fault, each.remark) for each in sent]
            return self._looked(shots, proposal)

        with map_errors():
            return await asyncio.to_thread(look)

    async def _look_at_event(self, _: web.Request, crop: people_schemas.EventCrop) -> ProposedPhotos:
        def look() -> ProposedPhotos:
            image = self._evidence(crop.event)
            if image is None:
                raise KeyError(crop.event)
            return self._looked([self._examiner.check_crop("crop", image)], crop)

        with map_errors():
            return await asyncio.to_thread(look)

    def _looked(self, shots: Sequence[ReviewedPhoto], proposal: Proposal) -> ProposedPhotos:
        name = self._name(proposal.person) if proposal.person else None
        beside = self._tray.get(proposal.others())
        self._tray.put(shots)
        return ProposedPhotos(
            photos=[
                people_schemas.shown(shot)
                for shot in self._examiner.review([*beside, *shots], name, self._people.gallery)
            ]
        )

    def _chosen(self, name: str | None, ids: Sequence[str], sure: Sequence[str]) -> list[ReviewedPhoto]:
        """The shots to enrol. Raises UsageError if one of them is not to be enrolled at all, or is doubtful and nobody
        is sure of it."""
        shots = self._examiner.review(self._tray.get(ids), name, self._people.gallery)
        require_usable(shots)
        for shot in shots:
            if shot.findings and shot.id not in sure:
                raise UsageError(f"{shot.name}: {describe_issues(shot)}: confirm it, or leave it out")
        return shots

    def _everybody(self) -> list[KnownPerson]:
        gallery = self._people.gallery
        return [self._described(gallery, name) for name in sorted(gallery.names, key=str.casefold)]

    def _somebody(self, id: str) -> KnownPerson:
        return self._described(self._people.gallery, self._name(id))

    def _described(self, gallery: Gallery, name: str) -> KnownPerson:
        person = gallery.people[name]
        photos = [
            people_schemas.KnownPhoto(id=photo, picture=f"/faces/{photo}.png" if self._people.has_face(photo) else None)
            for photo in person.photos
        ]
        return KnownPerson(id=person_id(name), name=name, description=person.description, photos=photos)

    def _name(self, id: str) -> str:
        """Raises KeyError."""
        return {person_id(name): name for name in self._people.gallery.names}[id]


def person_id(name: str) -> str:
    """Where somebody of this name is found: 16 hexadecimal digits that tell strangers nothing."""
    return sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]


def _who(request: web.Request) -> str:
    return require_role(request, "operator").name
