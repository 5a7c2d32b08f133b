"""Reference embedders: they measure whether a restored face is still the same person.

SFace is the product's own; the training of a restoration network may have used it. FaceNet is independent: nothing here
was trained or chosen with it. It is downloaded when needed.
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

JudgeName = Literal["sface", "facenet"]


@dataclass(frozen=True, slots=True)
class ReferenceEmbedder:
    """A reference embedder. `embed` turns aligned crops (square BGR uint8) into N x D unit embeddings; thread-safe.

    `threshold` returns the cosine similarity that a name needs, for a number of enrolled people; None if no such rule
    was calibrated.
    """

    name: str
    backend: str
    embed: Callable[[Sequence[Image]], Array]
    threshold: Callable[[int], float] | None


def load_judge(name: JudgeName, backend: Backend) -> ReferenceEmbedder:
    """Load an embedder by name; download it if necessary. Raises ModelError."""
    match name:
        case "sface":
            with download_bar() as progress:
                session = load(fetch("sface", progress=progress), backend)
            return ReferenceEmbedder(
                "SFace", session.backend, SFace(session, fingerprint("sface")).embed, threshold_for
            )
        case "facenet":
            return ReferenceEmbedder("FaceNet", "opencv", load_facenet().embed, None)
