"""Who judges whether a face is still the same: embedders, each with the crops that it was made for.

SFace is the product's own, and a restoration network's training may have looked at it. FaceNet took no part in
anything here; it is fetched when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from models.assets.fetch import fetch, fingerprint
from models.backends.selection import Backend, load
from recognize.embedders.sface import SFace
from recognize.gallery.calibration import threshold_for
from stream.values import Array, Image
from unblur.assembly.components import load_facenet
from unblur.terminal import download_bar

Name = Literal["sface", "facenet"]


@dataclass(frozen=True, slots=True)
class Judge:
    """`embed` turns aligned crops (square BGR uint8) into N x D embeddings of length 1; several threads may call it.

    `threshold` gives the cosine similarity from which a face is somebody's, by the number of people enrolled; None
    where no such rule was calibrated.
    """

    name: str
    backend: str
    embed: Callable[[Sequence[Image]], Array]
    threshold: Callable[[int], float] | None


def judge(name: Name, backend: Backend) -> Judge:
    """The embedder of that name, downloaded if need be. Raises ModelError if it cannot be had."""
    match name:
        case "sface":
            with download_bar() as progress:
                session = load(fetch("sface", progress=progress), backend)
            return Judge("SFace", session.backend, SFace(session, fingerprint("sface")).embed, threshold_for)
        case "facenet":
            return Judge("FaceNet", "opencv", load_facenet().embed, None)
