"""The events pages: search, the page of one event, and operators' feedback."""

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
from unblur.web.pages.event_search import Detail, EventQuery, EventSearch, Found, Search, parse_search
from unblur.web.pages.people_page import person_id
from unblur.web.pages.people_schemas import PersonName
from unblur.web.transport.access import User, is_still_authorized, require_role
from unblur.web.transport.openapi import ROOT, Endpoint, explain
from unblur.web.transport.rendering import render
from unblur.web.transport.request_body import read_form

Add = Callable[[str, Image, str, bool], Rejection | None]
"""Adds a crop to a person: name, crop, user, whether a doubtful crop is confirmed; returns why it is rejected, or
None."""
NoteChange = Callable[[str, str, str], None]
"""Writes an audit entry: who, what, about what."""
_NOTHING: Mapping[str, str] = MappingProxyType({})
_OFFERED = 500
"""Names of people and cameras that the form offers at most."""


class NamedPerson(BaseModel):
    """An event by its id."""

    id: str


class Said(NamedPerson):
    """Feedback on an event. `person` is who it shows: required to add the crop to them, ignored if the name is right.
    `sure` confirms a doubtful crop."""

    verdict: Verdict
    person: PersonName | None = None
    sure: bool = False


class _RejectedError(web.HTTPBadRequest):
    """The crop is rejected."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(text=rejection.why)
        self.rejection = rejection


class EventsPage:
    """The events pages, their REST endpoints, and the images of events."""

    name = "events"
    path = "/events"

    def __init__(self, archive: EventPager, feedback: Feedback, read: Read, add: Add, note: NoteChange) -> None:
        self._archive, self._feedback, self._add, self._note = archive, feedback, add, note
        self._event_search = EventSearch(archive, feedback)
        self._crops = Crops(archive, read)

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/events", self._page),
            web.get("/events/{id}", self._event),
            web.post("/events/{id}/feedback", self._feedback_by_form),
            web.get("/events/{id}/feedback", self._redirect_to_event),
            *self._crops.routes(),
        ]

    def operations(self) -> list[Endpoint]:
        feedback_path = "/events/{id}/feedback"
        return [
            Endpoint("GET", "/events", "Events, newest first, a page at a time", self._search, Search, Found),
            Endpoint("GET", "/events.csv", "Events as a table", self._csv, EventQuery, "text/csv"),
            Endpoint("GET", "/events.jsonl", "Events as JSON lines", self._json, EventQuery, "application/jsonl"),
            Endpoint("GET", "/events/{id}", "An event", self._one, NamedPerson, Detail),
            Endpoint(
                "POST",
                feedback_path,
                "Say whether an event's name is right",
                self._give_feedback,
                Said,
                Detail,
                "operator",
            ),
        ]

    async def _search(self, _: web.Request, search: Search) -> Found:
        return await asyncio.to_thread(self._event_search.find_page, search)

    async def _one(self, _: web.Request, named: NamedPerson) -> Detail:
        return await self._detail(named.id)

    async def _give_feedback(self, request: web.Request, feedback: Said) -> Detail:
        await self._add_feedback(require_role(request, "operator"), feedback)
        return await self._detail(feedback.id)

    async def _csv(self, request: web.Request, wanted: EventQuery) -> web.StreamResponse:
        return await _download(request, self._event_search.export_csv(wanted), "events.csv", "text/csv; charset=utf-8")

    async def _json(self, request: web.Request, wanted: EventQuery) -> web.StreamResponse:
        return await _download(request, self._event_search.export_json(wanted), "events.jsonl", "application/jsonl")

    async def _page(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        given = {name: value for name, value in request.query.items() if value}
        search, faults = parse_search(given)
        return await asyncio.to_thread(self._render_events, request, search, faults)

    def _render_events(self, request: web.Request, search: Search, faults: Sequence[str]) -> web.Response:
        latest = self._archive.latest()  # before the page, so that no event falls between the two
        url = request.rel_url.without_query_params("before")
        found = Found(events=[], next=None) if faults else self._event_search.find_page(search)
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
        return await self._render_event(request)

    async def _feedback_by_form(self, request: web.Request) -> web.Response:
        """Handle the feedback form on an event's page."""
        user = require_role(request, "operator")
        given = {name: value for name, value in (await read_form(request)).items() if value}
        try:
            feedback = Said.model_validate({**given, "id": request.match_info["id"]})
            await self._add_feedback(user, feedback)
        except ValidationError as error:
            return await self._render_event(request, explain(error), given)
        except web.HTTPBadRequest as error:
            return await self._render_event(
                request, error.text, given, error.rejection if isinstance(error, _RejectedError) else None
            )
        return web.Response(status=303, headers={hdrs.LOCATION: str(request.rel_url.parent)})

    async def _redirect_to_event(self, request: web.Request) -> web.Response:
        """Redirect from the address of a refused form to its event, for a browser that opens it again."""
        raise web.HTTPSeeOther(request.rel_url.parent)

    async def _render_event(
        self,
        request: web.Request,
        fault: str | None = None,
        given: Mapping[str, str] = _NOTHING,
        rejection: Rejection | None = None,
    ) -> web.Response:
        """The event's page; with a `fault`, the form still holds what was `given`."""
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
            objection=rejection.kind if rejection else None,
            id_of=person_id,
        )

    async def _detail(self, event: str) -> Detail:
        found = await asyncio.to_thread(self._event_search.find, event)
        if found is None:
            raise web.HTTPNotFound(text="there is no such event")
        return found

    async def _add_feedback(self, user: User, feedback: Said) -> None:
        event = await self._detail(feedback.id)
        await asyncio.to_thread(self._store_feedback, event, feedback, user.name)

    def _store_feedback(self, event: Detail, feedback: Said, who: str) -> None:
        """Store feedback, and add the crop if requested. Raises HTTPBadRequest if the crop is rejected."""
        if feedback.verdict == "added" and (rejection := self._add_crop(event, feedback, who)):
            raise _RejectedError(rejection)
        person = event.name if feedback.verdict == "right" else feedback.person
        self._feedback.add(event.id, feedback.verdict, person, who)
        self._note(who, f"feedback: {feedback.verdict}{f', {person}' if person else ''}", event.id)

    def _add_crop(self, event: Detail, feedback: Said, who: str) -> Rejection | None:
        if not feedback.person:
            return Rejection("say whom to add it to", "unfit")
        crop = self._crops.raw(event.id)
        if crop is None:
            return Rejection("there is no picture of this event", "unfit")
        return self._add(feedback.person, crop, who, feedback.sure)


async def _download(request: web.Request, parts: Iterator[str], name: str, kind: str) -> web.StreamResponse:
    """Stream a file as it is read: the reader waits for a slow client, so that nothing accumulates. If the user is
    signed out meanwhile, the transfer is aborted, so that the file does not seem complete."""
    headers = {hdrs.CONTENT_TYPE: kind, hdrs.CACHE_CONTROL: "no-store"}
    response = web.StreamResponse(headers=headers | {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"'})
    await response.prepare(request)
    with suppress(ConnectionError):  # the client is gone
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            if not await is_still_authorized(request, "viewer"):
                _abort(request)
                break
            await response.write(part.encode())
    return response


def _abort(request: web.Request) -> None:
    """Close the connection without the final chunk, which marks a response as complete."""
    if request.transport:
        request.transport.close()
