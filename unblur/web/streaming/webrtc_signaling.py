"""WebRTC signaling over HTTP: WHEP for viewers (draft-ietf-wish-whep), WHIP for guests (RFC 9725). Responses are those
of MediaMTX."""

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
"""Largest offer in bytes: several times what a browser sends."""
LOOK_S = 10.0
"""Interval of checks whether the user of a session is still authorized."""
_MAX_DB_FAILURES = 3
"""Consecutive checks that fail in the database before a session ends: its user may be signed out."""
_RETRY_S = 15
"""Seconds after which a client may try again if too many are connected."""
_METHODS = "OPTIONS, GET, POST, PATCH, DELETE"
_HEADERS = "Authorization, Content-Type, If-Match"
_EXPOSED = "ETag, ID, Accept-Patch, Link, Location"

Join = Callable[[web.Request, str, str], Awaitable[tuple[str, str]]]
"""Joins a camera's session by an SDP offer: returns the session's id, and the SDP answer."""

_log = structlog.get_logger(__name__)


class Signalling:
    """The routes `/{camera}/<kind>` and `/{camera}/<kind>/{session}`. A session's id is a secret that permits
    ending it. `role` is required to start one."""

    def __init__(self, kind: Literal["whep", "whip"], role: Role, sessions: PeerManager, join: Join) -> None:
        self._kind, self._role, self._sessions, self._join = kind, role, sessions, join
        self._supervisors: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """The routes; the application answers other methods with 405."""
        collection = f"/{{camera}}/{self._kind}"
        resource = f"{collection}/{{session}}"
        return [
            web.options(collection, self._options),
            web.post(collection, self._post),
            web.options(resource, self._options),
            web.patch(resource, self._patch),
            web.delete(resource, self._delete),
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
            return too_many_clients(error)
        self._supervise(session, request)
        headers = {
            "Location": f"{request.rel_url.raw_path}/{session}",
            "ETag": "*",
            "ID": hashlib.sha256(session.encode()).hexdigest()[:16],
            "Accept-Patch": FRAGMENT,
            "Access-Control-Expose-Headers": _EXPOSED,
        }
        return web.Response(status=201, text=answer, content_type=SDP, headers=headers)

    def _supervise(self, session: str, request: web.Request) -> None:
        task = asyncio.create_task(self._end_when_unauthorized(session, request))
        self._supervisors.add(task)  # the event loop keeps only weak references to tasks
        task.add_done_callback(self._supervisors.discard)

    async def _end_when_unauthorized(self, session: str, request: web.Request) -> None:
        """End the session when its user is signed out or lacks the role, or the database fails for too long."""
        failures = 0
        while session in self._sessions:
            await asyncio.sleep(LOOK_S)
            authorized = await self._is_authorized(request)
            failures = failures + 1 if authorized is None else 0
            if authorized is False or failures == _MAX_DB_FAILURES:
                await self._sessions.leave(session)

    async def _is_authorized(self, request: web.Request) -> bool | None:
        """Whether the user is still authorized; None if the database fails."""
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


def too_many_clients(error: TooManyPeersError) -> web.Response:
    """The response if too many clients are connected."""
    return error_response(503, str(error), _RETRY_S)


async def _body(request: web.Request, content_type: str) -> str:
    if request.content_type != content_type:
        raise web.HTTPBadRequest(text=f"the content type is {content_type}, not {request.content_type}")
    return (await read_body(request, _LONGEST)).decode(errors="replace")
