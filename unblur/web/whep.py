"""WHEP: viewers fetch cameras over HTTP (draft-ietf-wish-whep), and get the answers that MediaMTX gives its readers."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from stream.webrtc import Codec, CrowdedError, OfferError, Viewers

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
_LONGEST = 64 * 1024
"""Bytes of an offer; a browser's has 5 to 10 thousand."""
_METHODS = "OPTIONS, GET, POST, PATCH, DELETE"
_HEADERS = "Authorization, Content-Type, If-Match"
_EXPOSED = "ETag, ID, Accept-Patch, Link, Location"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Whep:
    """The routes `/{camera}/whep` and `/{camera}/whep/{session}`. A session's id is a secret: who has it may end it."""

    def __init__(self, viewers: Viewers) -> None:
        self._viewers = viewers

    def routes(self) -> list[web.RouteDef]:
        """To be added to an application, which answers 405 to every other method."""
        return [
            web.options("/{camera}/whep", self._options),
            web.post("/{camera}/whep", self._post),
            web.options("/{camera}/whep/{session}", self._options),
            web.patch("/{camera}/whep/{session}", self._patch),
            web.delete("/{camera}/whep/{session}", self._delete),
        ]

    async def _options(self, _: web.Request) -> web.Response:
        allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Allow-Headers": _HEADERS}
        return web.Response(status=204, headers=allowed)

    async def _post(self, request: web.Request) -> web.Response:
        offer = await _body(request, SDP)
        camera = request.match_info["camera"]
        try:
            session, answer = await self._viewers.join(camera, offer, _codec(request))
        except KeyError:
            return refusal(404, f"there is no camera {camera!r}")
        except OfferError as error:
            return refusal(400, str(error))
        except CrowdedError as error:
            return refusal(503, str(error))
        headers = {
            "Location": f"{request.rel_url.raw_path}/{session}",
            "ETag": "*",
            "ID": hashlib.sha256(session.encode()).hexdigest()[:16],
            "Accept-Patch": FRAGMENT,
            "Access-Control-Expose-Headers": _EXPOSED,
        }
        return web.Response(status=201, text=answer, content_type=SDP, headers=headers)

    async def _patch(self, request: web.Request) -> web.Response:
        fragment = await _body(request, FRAGMENT)
        try:
            await self._viewers.add_candidates(request.match_info["session"], fragment)
        except KeyError:
            return refusal(404, "there is no such session")
        except OfferError as error:
            return refusal(400, str(error))
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        if not await self._viewers.leave(request.match_info["session"]):
            return refusal(404, "there is no such session")
        return web.Response(status=200)


def refusal(status: int, error: str) -> web.Response:
    """An answer that says what is wrong."""
    return web.json_response({"error": error}, status=status)


async def _body(request: web.Request, content_type: str) -> str:
    if request.content_type != content_type:
        raise web.HTTPBadRequest(text=f"the content type is {content_type}, not {request.content_type}")
    body = await request.content.read(_LONGEST + 1)
    if len(body) > _LONGEST:
        raise web.HTTPRequestEntityTooLarge(_LONGEST, len(body))
    return body.decode(errors="replace")


def _codec(request: web.Request) -> Codec | None:
    match request.query.get("codec"):
        case "h264":
            return "h264"
        case "vp8":
            return "vp8"
        case _:
            return None
