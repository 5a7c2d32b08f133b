"""The events: a page to search them, one for each of them, and what operators say of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from stream.events.pagination import EventPager
from stream.values import Image
from unblur.feedback import Feedback, Verdict
from unblur.people.photo_review import Rejection
from unblur.web.pages.event_crops import Crops, Read
from unblur.web.pages.event_search import Detail, EventSearch, Found, Search, Wanted, parse_search
from unblur.web.pages.people_page import person_id
from unblur.web.pages.people_schemas import Name
from unblur.web.transport.access import User, is_still_authorized, require_role
from unblur.web.transport.openapi import ROOT, Endpoint, explain
from unblur.web.transport.rendering import render
from unblur.web.transport.request_body import read_form

Add = Callable[[str, Image, str, bool], Rejection | None]
"""Adds a crop to a person of the gallery, in the name of who asks, who may be sure; what speaks against it, or None."""
Note = Callable[[str, str, str], None]
"""Writes down who did what to what."""
_NOTHING: Mapping[str, str] = MappingProxyType({})
_OFFERED = 500
"""Names of persons and cameras that the form offers."""


class Named(BaseModel):
    """An event by its id."""

    id: str


class Said(Named):
    """What is said of an event. `person` says who it is: needed to add the crop to them, and nothing else if the name
    is right. Who is `sure` adds a doubtful crop."""

    verdict: Verdict
    person: Name | None = None
    sure: bool = False


class _Objected(web.HTTPBadRequest):
    """The crop is not added."""

    def __init__(self, objection: Rejection) -> None:
        super().__init__(text=objection.why)
        self.objection = objection


class EventsPage:
    """The events page, its part of the REST interface, and the pictures."""

    name = "events"
    path = "/events"

    def __init__(self, archive: EventPager, feedback: Feedback, read: Read, add: Add, note: Note) -> None:
        self._archive, self._feedback, self._add, self._note = archive, feedback, add, note
        self._finder = EventSearch(archive, feedback)
        self._crops = Crops(archive, read)

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/events", self._page),
            web.get("/events/{id}", self._event),
            web.post("/events/{id}/feedback", self._sent),
            web.get("/events/{id}/feedback", self._back),
            *self._crops.routes(),
        ]

    def operations(self) -> list[Endpoint]:
        told = "/events/{id}/feedback"
        return [
            Endpoint("GET", "/events", "Events, newest first, a page at a time", self._found, Search, Found),
            Endpoint("GET", "/events.csv", "Events as a table", self._csv, Wanted, "text/csv"),
            Endpoint("GET", "/events.jsonl", "Events as JSON lines", self._json, Wanted, "application/jsonl"),
            Endpoint("GET", "/events/{id}", "An event", self._one, Named, Detail),
            Endpoint("POST", told, "Say whether an event's name is right", self._told, Said, Detail, "operator"),
        ]

    async def _found(self, _: web.Request, search: Search) -> Found:
        return await asyncio.to_thread(self._finder.page, search)

    async def _one(self, _: web.Request, named: Named) -> Detail:
        return await self._detail(named.id)

    async def _told(self, request: web.Request, said: Said) -> Detail:
        await self._say(require_role(request, "operator"), said)
        return await self._detail(said.id)

    async def _csv(self, request: web.Request, wanted: Wanted) -> web.StreamResponse:
        return await _download(request, self._finder.csv(wanted), "events.csv", "text/csv; charset=utf-8")

    async def _json(self, request: web.Request, wanted: Wanted) -> web.StreamResponse:
        return await _download(request, self._finder.json(wanted), "events.jsonl", "application/jsonl")

    async def _page(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        given = {name: value for name, value in request.query.items() if value}
        search, faults = parse_search(given)
        return await asyncio.to_thread(self._drawn, request, search, faults)

    def _drawn(self, request: web.Request, search: Search, faults: Sequence[str]) -> web.Response:
        latest = self._archive.latest()  # before the page, so that no event falls between the two
        url = request.rel_url.without_query_params("before")
        found = Found(events=[], next=None) if faults else self._finder.page(search)
        return render(
            request,
            "events",
            status=400 if faults else 200,
            search=search,
            faults=faults,
            found=found,
            latest=latest,
            first=url,
            older=url.update_query(before=found.next) if found.next else None,
            exports={kind: f"{ROOT}/events.{kind}?{url.raw_query_string}" for kind in ("csv", "jsonl")},
            names=self._archive.names(_OFFERED),
            cameras=[(camera, camera) for camera in self._archive.cameras(_OFFERED)],
        )

    async def _event(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        return await self._shown(request)

    async def _sent(self, request: web.Request) -> web.Response:
        """The form on an event's page."""
        user = require_role(request, "operator")
        given = {name: value for name, value in (await read_form(request)).items() if value}
        try:
            said = Said.model_validate({**given, "id": request.match_info["id"]})
            await self._say(user, said)
        except ValidationError as error:
            return await self._shown(request, explain(error), given)
        except web.HTTPBadRequest as error:
            return await self._shown(
                request, error.text, given, error.objection if isinstance(error, _Objected) else None
            )
        return web.Response(status=303, headers={hdrs.LOCATION: str(request.rel_url.parent)})

    async def _back(self, request: web.Request) -> web.Response:
        """Where a refused form has left the browser: whoever opens that address again finds the event."""
        raise web.HTTPSeeOther(request.rel_url.parent)

    async def _shown(
        self,
        request: web.Request,
        fault: str | None = None,
        given: Mapping[str, str] = _NOTHING,
        objection: Rejection | None = None,
    ) -> web.Response:
        """The event; with a fault, what was `given` still stands in the form."""
        event = await self._detail(request.match_info["id"])
        names = await asyncio.to_thread(self._archive.names, _OFFERED)
        return render(
            request,
            "event",
            status=400 if fault else 200,
            event=event,
            fault=fault,
            names=names,
            person=given.get("person", ""),
            objection=objection.kind if objection else None,
            id_of=person_id,
        )

    async def _detail(self, event: str) -> Detail:
        found = await asyncio.to_thread(self._finder.one, event)
        if found is None:
            raise web.HTTPNotFound(text="there is no such event")
        return found

    async def _say(self, user: User, said: Said) -> None:
        event = await self._detail(said.id)
        await asyncio.to_thread(self._decide, event, said, user.name)

    def _decide(self, event: Detail, said: Said, who: str) -> None:
        """Raises HTTPBadRequest if the crop cannot be added to the person."""
        if said.verdict == "added" and (objection := self._added(event, said, who)):
            raise _Objected(objection)
        person = event.name if said.verdict == "right" else said.person
        self._feedback.add(event.id, said.verdict, person, who)
        self._note(who, f"feedback: {said.verdict}{f', {person}' if person else ''}", event.id)

    def _added(self, event: Detail, said: Said, who: str) -> Rejection | None:
        if not said.person:
            return Rejection("say whom to add it to", "unfit")
        crop = self._crops.raw(event.id)
        if crop is None:
            return Rejection("there is no picture of this event", "unfit")
        return self._add(said.person, crop, who, said.sure)


async def _download(request: web.Request, parts: Iterator[str], name: str, kind: str) -> web.StreamResponse:
    """Sent as it is read: the reader waits for a slow client, and nothing piles up. Whoever is let in no longer gets no
    more, and is not told that this was all."""
    headers = {hdrs.CONTENT_TYPE: kind, hdrs.CACHE_CONTROL: "no-store"}
    response = web.StreamResponse(headers=headers | {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"'})
    await response.prepare(request)
    with suppress(ConnectionError):  # whoever asked is gone
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            if not await is_still_authorized(request, "viewer"):
                _hang_up(request)
                break
            await response.write(part.encode())
    return response


def _hang_up(request: web.Request) -> None:
    """Before the end that an answer in parts is known to be whole by."""
    if request.transport:
        request.transport.close()
