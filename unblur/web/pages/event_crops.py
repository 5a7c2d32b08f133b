"""The pictures behind the events: the crop as the camera saw it, and as it was restored."""

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

Kind = Literal["raw", "restored"]
Read = Callable[[str, Kind], bytes]
"""Reads the PNG of an event, by its id. Raises FileNotFoundError."""
_CACHING = "private, max-age=600"
"""Not for long: what is forgotten must go from the browsers, too."""


def read_crop(folder: Path, event: str, kind: Kind) -> bytes:
    """The PNG in the evidence folder. Raises FileNotFoundError."""
    name = f"{event}.{kind}.png"
    if Path(name).name != name or "\0" in name:
        raise FileNotFoundError(name)
    return (folder / name).read_bytes()


class Crops:
    """Serves the pictures of events that the store knows: nothing else is looked for."""

    def __init__(self, archive: EventPager, read: Read) -> None:
        self._archive, self._read = archive, read

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get("/evidence/{event}/{kind:raw|restored}.png", self._picture)]

    def raw(self, event: str) -> Image | None:
        """The crop as the camera saw it; None if it is gone."""
        png = self._png(event, "raw")
        return None if png is None else _decoded(png)

    async def _picture(self, request: web.Request) -> web.Response:
        require_role(request, "viewer")
        event, kind = request.match_info["event"], request.match_info["kind"]
        png = await asyncio.to_thread(self._png, event, "restored" if kind == "restored" else "raw")
        if png is None:
            raise web.HTTPNotFound(text="there is no such picture, or no more")
        return web.Response(body=png, content_type="image/png", headers={"Cache-Control": _CACHING})

    def _png(self, event: str, kind: Kind) -> bytes | None:
        record = self._archive.find(event)
        if record is None or record["evidence"] is None:
            return None
        try:
            return self._read(str(record["id"]), kind)
        except FileNotFoundError:
            return None


def _decoded(png: bytes) -> Image | None:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) if png else None
    return None if picture is None else picture.astype(np.uint8, copy=False)
