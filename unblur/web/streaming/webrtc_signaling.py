"""WHEP and WHIP: over HTTP, viewers fetch a camera (draft-ietf-wish-whep) and guests are one (RFC 9725). They get the
answers that MediaMTX gives."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog
from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from stream.storage.database import database_error
from stream.webrtc.client_limiter import TooManyPeersError
from stream.webrtc.peers import PeerManager
from stream.webrtc.sdp import OfferError
from unblur.web.transport.access import Role, is_still_authorized, require_role
from unblur.web.transport.errors import error_response
from unblur.web.transport.request_body import read_body

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
_LONGEST = 64 * 1024
"""Bytes of an offer: several times what a browser sends."""
LOOK_S = 10.0
"""How often it is asked whether whoever began a session is still let in."""
_UNANSWERED = 3
"""So many looks in a row that the database refuses end the session: whoever began it may be signed out."""
_CROWDED_RETRY_S = 15
"""Seconds after which a client may try again where too many are connected."""
_METHODS = "OPTIONS, GET, POST, PATCH, DELETE"
_HEADERS = "Authorization, Content-Type, If-Match"
_EXPOSED = "ETag, ID, Accept-Patch, Link, Location"

Join = Callable[[web.Request, str, str], Awaitable[tuple[str, str]]]
"""Answers what somebody asks for a camera, by an offer: the session's id, and the answer."""

_log = structlog.get_logger(__name__)


class Signalling:
    """The routes `/{camera}/<kind>` and `/{camera}/<kind>/{session}`. A session's id is a secret: who has it may end
    it. `role` is what it takes to begin one."""

    def __init__(self, kind: Literal["whep", "whip"], role: Role, sessions: PeerManager, join: Join) -> None:
        self._kind, self._role, self._sessions, self._join = kind, role, sessions, join
        self._looking_after: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """To be added to an application, which answers 405 to every other method."""
        outside = f"/{{camera}}/{self._kind}"
        inside = f"{outside}/{{session}}"
        return [
            web.options(outside, self._options),
            web.post(outside, self._post),
            web.options(inside, self._options),
            web.patch(inside, self._patch),
            web.delete(inside, self._delete),
        ]

    async def _options(self, _: web.Request) -> web.Response:
        allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Allow-Headers": _HEADERS}
        return web.Response(status=204, headers=allowed)

    async def _post(self, request: web.Request) -> web.Response:
        require_role(request, self._role)
        offer = await _body(request, SDP)
        camera = request.match_info["camera"]
        try:
            session, answer = await self._join(request, camera, offer)
        except KeyError:
            return error_response(404, f"there is no camera {camera!r}")
        except OfferError as error:
            return error_response(400, str(error))
        except TooManyPeersError as error:
            return crowded(error)
        self._look_after(session, request)
        headers = {
            "Location": f"{request.rel_url.raw_path}/{session}",
            "ETag": "*",
            "ID": hashlib.sha256(session.encode()).hexdigest()[:16],
            "Accept-Patch": FRAGMENT,
            "Access-Control-Expose-Headers": _EXPOSED,
        }
        return web.Response(status=201, text=answer, content_type=SDP, headers=headers)

    def _look_after(self, session: str, request: web.Request) -> None:
        task = asyncio.create_task(self._end_with(session, request))
        self._looking_after.add(task)  # a loop forgets tasks that nobody holds
        task.add_done_callback(self._looking_after.discard)

    async def _end_with(self, session: str, request: web.Request) -> None:
        """Whoever is signed out, or is no longer what it takes, sees, and sends, nothing any more; nor does anybody of
        whom the database says nothing for long."""
        unanswered = 0
        while session in self._sessions:
            await asyncio.sleep(LOOK_S)
            stays = await self._stays(request)
            unanswered = unanswered + 1 if stays is None else 0
            if stays is False or unanswered == _UNANSWERED:
                await self._sessions.leave(session)

    async def _stays(self, request: web.Request) -> bool | None:
        """None if the database does not say."""
        try:
            return await is_still_authorized(request, self._role)
        except SQLAlchemyError as error:
            _log.warning("nobody knows whether a session may go on", kind=self._kind, problem=database_error(error))
            return None

    async def _patch(self, request: web.Request) -> web.Response:
        fragment = await _body(request, FRAGMENT)
        try:
            await self._sessions.add_candidates(request.match_info["session"], fragment)
        except KeyError:
            return error_response(404, "there is no such session")
        except OfferError as error:
            return error_response(400, str(error))
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        if not await self._sessions.leave(request.match_info["session"]):
            return error_response(404, "there is no such session")
        return web.Response(status=200)


def crowded(error: TooManyPeersError) -> web.Response:
    """The answer to one client too many."""
    return error_response(503, str(error), _CROWDED_RETRY_S)


async def _body(request: web.Request, content_type: str) -> str:
    if request.content_type != content_type:
        raise web.HTTPBadRequest(text=f"the content type is {content_type}, not {request.content_type}")
    return (await read_body(request, _LONGEST)).decode(errors="replace")
