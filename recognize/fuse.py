"""Who a track is, by all of its crops: evidence is gathered over the track, raw and restored, and only then judged.

How a restored view is weighed against the raw one is `dual`'s; the weights below were chosen on `val`
(`benchmarks/threshold.py`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from recognize.decision import decide, required
from recognize.dual import caution, fused
from recognize.embed import Embedder, normalised
from recognize.gallery import Gallery, Person
from recognize.threshold import USUAL
from stream.data import Array, Identity, Method, Restoration
from stream.errors import GalleryError

FADING = 10.0
"""Blur, in crop pixels, at which a view is worth half a sharp one; beyond it falls with the square."""
LEAST = 0.02
"""What the poorest view is worth."""
VIEWS = 32
"""The latest views that are evidence: a track whose face changes can change its mind."""
TRACKS = 1024
"""Tracks remembered at once; when more are seen, the one not seen for longest is forgotten."""


class Known(NamedTuple):
    """A gallery with its threshold: swapped in one step, so that no decision mixes two."""

    gallery: Gallery
    threshold: float


class View(NamedTuple):
    """What one restoration says: its worth (0..1), embeddings (D, of length 1), how much more similar than the
    threshold it has to be, and what was done to which blur."""

    weight: float
    raw: Array
    restored: Array | None
    fused: Array
    caution: float
    method: Method
    blur: float


class Evidence:
    """What is known of one track: its latest views, and the name that they have earned so far."""

    def __init__(self) -> None:
        self._named: tuple[str, Person] | None = None
        self._views: deque[View] = deque(maxlen=VIEWS)

    def add(self, view: View) -> None:
        self._views.append(view)

    def name(self, name: str | None, gallery: Gallery) -> None:
        """Hold on to this person of the gallery."""
        self._named = None if name is None else (name, gallery.people[name])

    def held(self, gallery: Gallery) -> int | None:
        """The place in this gallery of the person named so far, whatever they are called there."""
        heir = gallery.heir(*self._named) if self._named else None
        return None if heir is None else gallery.names.index(heir)

    @property
    def latest(self) -> View:
        return self._views[-1]

    @property
    def weight(self) -> float:
        """In perfect views."""
        return sum(view.weight for view in self._views)

    @property
    def caution(self) -> float:
        """Weighted mean of the views'."""
        return sum(view.weight * view.caution for view in self._views) / self.weight

    def means(self) -> Array:
        """3 x D, of length 1: the weighted means of the fused, the raw and the restored views; the third is the
        first again where nothing was restored."""
        both = _mean([(view.weight, view.fused) for view in self._views])
        raw = _mean([(view.weight, view.raw) for view in self._views])
        restored = [(view.weight, view.restored) for view in self._views if view.restored is not None]
        return np.stack([both, raw, _mean(restored) if restored else both])

    @property
    def restored(self) -> bool:
        """Whether any view was restored."""
        return any(view.restored is not None for view in self._views)


class TrackRecognizer:
    """Says who each track is by its evidence so far; satisfies `stream.stages.Recognizer`. Used by one thread, but
    `use` may be called from any.

    `threshold` is the cosine similarity from which a face is somebody's; without one it follows the gallery's
    calibration for the share `fpir` (0..1) of strangers who may be named, as measured for SFace. `dropped` counts
    tracks whose evidence was given up because too many were open at once.
    """

    def __init__(
        self, embedder: Embedder, gallery: Gallery, threshold: float | None = None, fpir: float = USUAL
    ) -> None:
        self.dropped = 0
        self._fpir = fpir
        self._embedder = embedder
        self._threshold = threshold
        self._tracks: OrderedDict[tuple[str, int], Evidence] = OrderedDict()
        self.use(gallery)

    def use(self, gallery: Gallery) -> None:
        """Recognise by this gallery from the next decision on; the evidence gathered stays.

        Raises GalleryError if it was made with another network.
        """
        if gallery.fingerprint != self._embedder.fingerprint:
            raise GalleryError("the gallery was made with another embedding network than the one in use: enroll again")
        threshold = gallery.calibration.threshold(self._fpir) if self._threshold is None else self._threshold
        self._known = Known(gallery, threshold)

    @property
    def known(self) -> Known:
        """What decisions rest on now."""
        return self._known

    @property
    def people(self) -> int:
        """How many are known."""
        return len(self._known.gallery.names)

    def observe(self, restorations: Sequence[Restoration]) -> list[Identity]:
        """Who the restorations' tracks are, each by all of its track's evidence up to and with this restoration."""
        known, views = self._known, self._views(restorations)
        tracks = [self._track(restoration.crop.camera, restoration.crop.track) for restoration in restorations]
        identities = []
        for view, evidence in zip(views, tracks, strict=True):
            evidence.add(view)
            identities.append(_concluded(known, evidence))
        return identities

    def reconsider(self) -> Mapping[tuple[str, int], Identity]:
        """Who each track, by camera and number, is by the gallery now in use and the evidence so far."""
        known = self._known
        return {track: _concluded(known, evidence) for track, evidence in self._tracks.items()}

    def identify(self, restorations: Sequence[Restoration]) -> list[Identity]:
        """Who is on still pictures: each by itself, with no surcharge for being alone: no second view will come."""
        known, identities = self._known, []
        for view in self._views(restorations):
            evidence = Evidence()
            evidence.add(view)
            identities.append(_identify(known.gallery, evidence, known.threshold + evidence.caution))
        return identities

    def forget(self, camera: str, track: int) -> None:
        """The track has ended; its evidence goes."""
        self._tracks.pop((camera, track), None)

    def _track(self, camera: str, track: int) -> Evidence:
        evidence = self._tracks.setdefault((camera, track), Evidence())
        self._tracks.move_to_end((camera, track))
        if len(self._tracks) > TRACKS:
            self._tracks.popitem(last=False)
            self.dropped += 1
        return evidence

    def _views(self, restorations: Sequence[Restoration]) -> list[View]:
        restored = [restoration for restoration in restorations if restoration.method != "none"]
        crops = [restoration.crop.image for restoration in restorations]
        embeddings = self._embedder.embed([*crops, *(restoration.image for restoration in restored)])
        second = iter(embeddings[len(crops) :])
        return [
            _view(restoration, raw, None if restoration.method == "none" else next(second))
            for restoration, raw in zip(restorations, embeddings, strict=False)
        ]


def _view(restoration: Restoration, raw: Array, restored: Array | None) -> View:
    quality, blur = restoration.crop.quality, restoration.blur
    weight = max(LEAST, quality.size * quality.pose / (1 + (blur / FADING) ** 2))
    if restored is None:
        return View(weight, raw, None, raw, 0.0, restoration.method, blur)
    mixed = fused(raw, restored, blur)
    return View(weight, raw, restored, mixed, float(caution(blur)), restoration.method, blur)


def _concluded(known: Known, evidence: Evidence) -> Identity:
    """Who a track is; its evidence remembers the name."""
    threshold = required(known.threshold, evidence.weight) + evidence.caution
    identity = _identify(known.gallery, evidence, threshold)
    evidence.name(identity.name, known.gallery)
    return identity


def _identify(gallery: Gallery, evidence: Evidence, threshold: float) -> Identity:
    deblurred_by, blur = evidence.latest.method, evidence.latest.blur
    if not gallery.names:
        restored = 0.0 if evidence.restored else None
        return Identity(None, 0.0, threshold, None, 0.0, restored, deblurred_by, blur)
    scores, raw, restored_scores = gallery.scores(evidence.means())
    decision = decide(scores, raw, evidence.held(gallery), threshold)
    name = gallery.names[decision.person]
    return Identity(
        name=name if decision.named else None,
        score=float(scores[decision.person]),
        threshold=decision.threshold,
        runner_up=None if decision.runner_up is None else gallery.candidate(decision.runner_up, scores),
        raw_score=float(raw[decision.person]),
        restored_score=float(restored_scores[decision.person]) if evidence.restored else None,
        deblurred_by=deblurred_by,
        blur=blur,
        description=gallery.people[name].description if decision.named else None,
    )


def _mean(weighted: Sequence[tuple[float, Array]]) -> Array:
    weights, vectors = zip(*weighted, strict=True)
    return normalised(np.asarray(weights, np.float32) @ np.stack(vectors))
