"""The images of events: the raw crop, and the restored one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from aiohttp import web

from stream.events.pagination import EventPager
from stream.values import Image
from unblur.web.transport.access import require_role

CropKind = Literal["raw", "restored"]
Read = Callable[[str, CropKind], bytes]
"""Reads the PNG of an event, by its id. Raises FileNotFoundError."""
_CACHING = "private, max-age=600"
"""A short time: deleted evidence must disappear from the browsers' caches, too."""


def read_crop(folder: Path, event: str, kind: CropKind) -> bytes:
    """Read a PNG from the evidence folder. Raises FileNotFoundError."""
    name = f"{event}.{kind}.png"
    if Path(name).name != name or "\0" in name:
        raise FileNotFoundError(name)
    return (folder / name).read_bytes()


class Crops:
    """Serves the images of events in the event store, and no other files."""

    def __init__(self, archive: EventPager, read: Read) -> None:
        self._archive, self._read = archive, read

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get("/evidence/{event}/{kind:raw|restored}.png", self._serve)]

    def raw(self, event: str) -> Image | None:
        """The raw crop of an event; None if it does not exist any more."""
        png = self._png(event, "raw")
        return None if png is None else _decode(png)

    async def _serve(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        event, kind = request.match_info["event"], request.match_info["kind"]
        png = await asyncio.to_thread(self._png, event, "restored" if kind == "restored" else "raw")
        if png is None:
            raise web.HTTPNotFound(text="there is no such picture, or no more")
        return web.Response(body=png, content_type="image/png", headers={"Cache-Control": _CACHING})

    def _png(self, event: str, kind: CropKind) -> bytes | None:
        record = self._archive.find(event)
        if record is None or record["evidence"] is None:
            return None
        try:
            return self._read(str(record["id"]), kind)
        except FileNotFoundError:
            return None


def _decode(png: bytes) -> Image | None:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) if png else None
    return None if image is None else image.astype(np.uint8, copy=False)
