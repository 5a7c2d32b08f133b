"""The photo page on a running server, for who sends photos to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import httpx2 as httpx
import numpy as np
from aiohttp.typedefs import Middleware

from configs.schema import Config, Web
from deblur import kernels
from recognize.gallery.people_gallery import Gallery
from stream.storage.images import read_picture
from stream.values import Image
from unblur.web.auth.middleware import auth_middleware
from unblur.web.pages.live import LiveView
from unblur.web.photos.photo_page import PhotoPage
from unblur.web.photos.photo_worker import PhotoWorker
from unblur.web.photos.result_cache import ResultCache
from unblur.web.photos.uploads import Uploads

API = "/api/v1/photos"
WITHIN_S = 60.0


class Studio:
    """`notes` is what was written down of who did what."""

    def __init__(
        self,
        gallery: Callable[[], Gallery],
        prints: ResultCache | None = None,
        waiting: int = 3,
        guarded: Middleware | None = None,
    ) -> None:
        self.notes: list[tuple[str, str, str]] = []
        self._uploads = Uploads()
        worker = PhotoWorker(Config(), gallery, waiting)
        self.page = PhotoPage(worker, self._uploads, prints or ResultCache(), lambda *said: self.notes.append(said))
        self._watching = LiveView(Web(port=0), [])
        self._watching.open(guarded or auth_middleware(None), [self.page])
        self.address = self._watching.address
        self._client = httpx.Client(base_url=self.address, timeout=WITHIN_S)

    def send(self, photo: bytes, sharp: bytes | None = None, method: str = "auto") -> httpx.Response:
        files = {"photo": ("photo.jpg", photo)} | ({} if sharp is None else {"sharp": ("sharp.jpg", sharp)})
        return self._client.post(API, params={"method": method}, files=files)

    def developed(self, photo: bytes, sharp: bytes | None = None, method: str = "auto") -> Mapping[str, Any]:
        answer = self.send(photo, sharp, method)
        assert answer.status_code == 200, answer.text
        result: Mapping[str, Any] = answer.json()
        return result

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._client.get(path, **more)

    def post(self, **what: Any) -> httpx.Response:
        return self._client.post(API, **what)

    def picture(self, path: str) -> Image:
        return decoded(self.get(path).raise_for_status().content)

    def stop(self) -> None:
        """The server is away."""
        self._client.close()
        if self.address:
            self._watching.close()
        self.address = ""

    def close(self) -> None:
        self.stop()
        self.page.close()
        self._uploads.close()


def decoded(content: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def encoded(image: Image, ending: str = ".png") -> bytes:
    return cv2.imencode(ending, image)[1].tobytes()


def shrunk(path: Path, long_side: int = 640) -> Image:
    """A portrait, sharp."""
    image = read_picture(path)
    scale = long_side / max(image.shape)
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def moved(image: Image) -> Image:
    """As if the camera had moved while it took the picture."""
    return np.asarray(cv2.filter2D(image, -1, kernels.line(14, 5)), np.uint8)
