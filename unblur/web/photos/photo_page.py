"""Unblur a photo: one picture is sent, and comes back with its faces restored and named, beside what it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from aiohttp import hdrs, web
from pydantic import BaseModel

from stream.errors import UnblurError
from stream.values import Image
from unblur.web.photos.photo_schemas import DevelopedPhoto, to_response
from unblur.web.photos.photo_worker import RETRY_S, BusyError, Method, PhotoWorker
from unblur.web.photos.result_cache import ResultCache
from unblur.web.photos.uploads import Upload, Uploads
from unblur.web.transport.access import require_role
from unblur.web.transport.errors import error_response
from unblur.web.transport.openapi import Endpoint
from unblur.web.transport.rendering import render

LONG_SIDE = 4096
"""Pixels of a photo's longer side. Larger ones are shrunk: work grows with the pixels, and faces do not gain by it."""
SHORTEST = 16
"""Pixels of a photo's shorter side: less shows nobody."""
_PRIVATE = {hdrs.CACHE_CONTROL: "no-store"}


class Wanted(BaseModel):
    """How a photo is to be restored; `auto` takes the network, and Richardson-Lucy where that cannot run."""

    method: Method = "auto"


class PictureName(BaseModel):
    """One of a developed photo's pictures."""

    id: str
    picture: str


class PhotoPage:
    """The page where a photo is sent, the page of what became of it, and the same for programs. What was sent is shown
    to who sent it, for a while, and to nobody else."""

    name = "photo"
    path = "/photo"

    def __init__(
        self, darkroom: PhotoWorker, uploads: Uploads, prints: ResultCache, note: Callable[[str, str, str], None]
    ) -> None:
        """`note` writes down who did what, to what."""
        self._darkroom, self._uploads, self._prints, self._note = darkroom, uploads, prints, note

    def close(self) -> None:
        """Nothing of any photo is left."""
        self._darkroom.close()
        self._prints.clear()

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get("/photo", self._asked), web.get("/photo/{id}", self._shown)]

    def operations(self) -> list[Endpoint]:
        files = ("photo", "sharp")
        return [
            Endpoint("POST", "/photos", "Unblur a photo", self._sent, Wanted, DevelopedPhoto, files=files),
            Endpoint("GET", "/photos/{id}/{picture}.png", "Its pictures", self._picture, PictureName, "image/png"),
        ]

    async def _asked(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        return render(request, "photo", gone=False)

    async def _shown(self, request: web.Request) -> web.Response:
        found = self._prints.find(request.match_info["id"], require_role(request, "viewer").name)
        if not found:
            return render(request, "photo", 404, gone=True)
        response = render(request, "photo_result", photo=to_response(found))
        response.headers.update(_PRIVATE)
        return response

    async def _sent(self, request: web.Request, wanted: Wanted) -> DevelopedPhoto | web.Response:
        user = require_role(request, "viewer").name
        photo, sharp, remark = await self._received(request)
        try:
            developed = replace(await self._darkroom.develop(photo, sharp, wanted.method), remark=remark)
        except BusyError as error:
            return _later(error)
        except UnblurError as error:
            raise web.HTTPServiceUnavailable(text=f"the photo cannot be developed: {error}") from error
        await asyncio.to_thread(self._note, user, "unblurred a photo", f"faces: {len(developed.faces)}")
        return to_response(self._prints.keep(user, wanted.method, developed))

    async def _received(self, request: web.Request) -> tuple[Image, Image | None, str | None]:
        """The photo, the sharp original if there is one, and what is to be said of the photo's file. Raises
        HTTPBadRequest if they cannot be used."""
        sent = await self._uploads.fields(request, {"photo": 1, "sharp": 1}, LONG_SIDE)
        if not sent["photo"]:
            raise web.HTTPBadRequest(text="no file was sent as photo")
        photo, *sharp = (_usable(upload) for upload in (*sent["photo"], *sent["sharp"]))
        if not sharp:
            return photo, None, _remark(sent["photo"][0])
        if sharp[0].shape != photo.shape:
            sizes = f"the photo is {_size(photo)}, the sharp original {_size(sharp[0])}"
            raise web.HTTPBadRequest(text=f"{sizes}: they can be compared if they are of one size")
        return photo, sharp[0], _remark(sent["photo"][0])

    async def _picture(self, request: web.Request, wanted: PictureName) -> web.Response:
        found = self._prints.find(wanted.id, require_role(request, "viewer").name)
        if not found or wanted.picture not in found.developed.pictures:
            raise web.HTTPNotFound(text="there is no such picture, or no longer")
        body = found.developed.pictures[wanted.picture]
        return web.Response(body=body, content_type="image/png", headers=_PRIVATE)


def _usable(upload: Upload) -> Image:
    if upload.image is None:
        raise web.HTTPBadRequest(text=f"{upload.name}: {upload.fault}")
    if min(upload.image.shape[:2]) < SHORTEST:
        raise web.HTTPBadRequest(text=f"{upload.name}: {_size(upload.image)} pixels show nobody")
    return upload.image


def _remark(upload: Upload) -> str | None:
    """What is to be said of how the photo was read."""
    shrunk = upload.image is not None and upload.pixels > upload.image.shape[0] * upload.image.shape[1]
    said = [upload.remark or "", f"it was shrunk to {LONG_SIDE} pixels" if shrunk else ""]
    return "; ".join(filter(None, said)) or None


def _size(image: Image) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def _later(error: BusyError) -> web.Response:
    return error_response(503, str(error), RETRY_S)
