"""The photo page and endpoints: upload a photo, restore and identify its faces, compare before and after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from aiohttp import hdrs, web
from pydantic import BaseModel

from stream.errors import UnblurError
from stream.values import Image
from unblur.web.photos.photo_schemas import DevelopedPhoto, to_response
from unblur.web.photos.photo_worker import RETRY_S, BusyError, PhotoWorker, RestorationChoice
from unblur.web.photos.result_cache import ResultCache
from unblur.web.photos.uploads import Upload, Uploads
from unblur.web.transport.access import require_role
from unblur.web.transport.errors import error_response
from unblur.web.transport.openapi import Endpoint
from unblur.web.transport.rendering import render

LONG_SIDE = 4096
"""Pixels of a photo's longer side. Larger ones are shrunk: more pixels only cost time."""
SHORTEST = 16
"""Pixels of a photo's shorter side at least: smaller ones show no face."""
_PRIVATE = {hdrs.CACHE_CONTROL: "no-store"}


class PhotoQuery(BaseModel):
    """The deblurring method of a photo; `auto` is the network, or Richardson-Lucy if that cannot run."""

    method: RestorationChoice = "auto"


class PictureName(BaseModel):
    """An image of a restored photo, by name."""

    id: str
    picture: str


class PhotoPage:
    """The upload page, the result page, and their REST endpoints. A result is shown only to the user who sent the
    photo, for a limited time."""

    name = "photo"
    path = "/photo"

    def __init__(
        self, worker: PhotoWorker, uploads: Uploads, results: ResultCache, note: Callable[[str, str, str], None]
    ) -> None:
        """`note` writes an audit entry: who, what, details."""
        self._worker, self._uploads, self._results, self._note = worker, uploads, results, note

    def close(self) -> None:
        """Stop the worker, and delete all results."""
        self._worker.close()
        self._results.clear()

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get("/photo", self._upload_page), web.get("/photo/{id}", self._result_page)]

    def operations(self) -> list[Endpoint]:
        files = ("photo", "sharp")
        return [
            Endpoint("POST", "/photos", "Unblur a photo", self._restore, PhotoQuery, DevelopedPhoto, files=files),
            Endpoint("GET", "/photos/{id}/{picture}.png", "Its pictures", self._picture, PictureName, "image/png"),
        ]

    async def _upload_page(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        return render(request, "photo", gone=False)

    async def _result_page(self, request: web.Request) -> web.Response:
        result = self._results.find(request.match_info["id"], require_role(request, "viewer").name)
        if not result:
            return render(request, "photo", 404, gone=True)
        response = render(request, "photo_result", photo=to_response(result))
        response.headers.update(_PRIVATE)
        return response

    async def _restore(self, request: web.Request, wanted: PhotoQuery) -> DevelopedPhoto | web.Response:
        user = require_role(request, "viewer").name
        photo, sharp, remark = await self._read_photos(request)
        try:
            developed = replace(await self._worker.restore(photo, sharp, wanted.method), remark=remark)
        except BusyError as error:
            return _busy_response(error)
        except UnblurError as error:
            raise web.HTTPServiceUnavailable(text=f"the photo cannot be developed: {error}") from error
        await asyncio.to_thread(self._note, user, "unblurred a photo", f"faces: {len(developed.faces)}")
        return to_response(self._results.keep(user, wanted.method, developed))

    async def _read_photos(self, request: web.Request) -> tuple[Image, Image | None, str | None]:
        """Read the photo, the sharp original if there is one, and the remark on the photo's file. Raises HTTPBadRequest
        if they cannot be used."""
        uploads = await self._uploads.fields(request, {"photo": 1, "sharp": 1}, LONG_SIDE)
        if not uploads["photo"]:
            raise web.HTTPBadRequest(text="no file was sent as photo")
        photo, *sharp = (_require_image(upload) for upload in (*uploads["photo"], *uploads["sharp"]))
        if not sharp:
            return photo, None, _file_remark(uploads["photo"][0])
        if sharp[0].shape != photo.shape:
            sizes = f"the photo is {_size_text(photo)}, the sharp original {_size_text(sharp[0])}"
            raise web.HTTPBadRequest(text=f"{sizes}: they can be compared if they are of one size")
        return photo, sharp[0], _file_remark(uploads["photo"][0])

    async def _picture(self, request: web.Request, wanted: PictureName) -> web.Response:
        result = self._results.find(wanted.id, require_role(request, "viewer").name)
        if not result or wanted.picture not in result.developed.pictures:
            raise web.HTTPNotFound(text="there is no such picture, or no longer")
        body = result.developed.pictures[wanted.picture]
        return web.Response(body=body, content_type="image/png", headers=_PRIVATE)


def _require_image(upload: Upload) -> Image:
    if upload.image is None:
        raise web.HTTPBadRequest(text=f"{upload.name}: {upload.fault}")
    if min(upload.image.shape[:2]) < SHORTEST:
        raise web.HTTPBadRequest(text=f"{upload.name}: {_size_text(upload.image)} pixels show nobody")
    return upload.image


def _file_remark(upload: Upload) -> str | None:
    """Remarks on how the photo was decoded, or None."""
    shrunk = upload.image is not None and upload.pixels > upload.image.shape[0] * upload.image.shape[1]
    remarks = [upload.remark or "", f"it was shrunk to {LONG_SIDE} pixels" if shrunk else ""]
    return "; ".join(filter(None, remarks)) or None


def _size_text(image: Image) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def _busy_response(error: BusyError) -> web.Response:
    return error_response(503, str(error), RETRY_S)
