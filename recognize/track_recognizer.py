"""Who a track is, by all of its crops: evidence is gathered over the track, raw and restored, and only then judged.

How a restored view is weighed against the raw one is `dual`'s; the weights below were chosen on `val`
(`benchmarks/threshold.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from recognize.decision import MARGIN, decide, required_threshold
from recognize.embedders.embedder import Embedder
from recognize.gallery.calibration import USUAL
from recognize.gallery.people_gallery import Gallery
from recognize.restoration_fusion import fused, still_threshold_offset
from recognize.track_template import ProbeSample, TrackTemplate
from stream.errors import GalleryError
from stream.results import Identity, TrackContinuity
from stream.values import Array, FaceCrop, Restoration

FADING = 10.0
"""Blur, in crop pixels, at which a view is worth half a sharp one; beyond it falls with the square."""
LEAST = 0.02
"""What the poorest view is worth."""
TRACKS = 1024
"""Tracks remembered at once; when more are seen, the one not seen for longest is forgotten."""


class ActiveGallery(NamedTuple):
    """A gallery with its threshold, and whether that is by its calibration: swapped in one step, so that no decision
    mixes two."""

    gallery: Gallery
    threshold: float
    calibrated: bool


class TrackRecognizer:
    """Says who each track is by its evidence so far; satisfies `stream.interfaces.Recognizer`. Used by one thread, but
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
        self._tracks: OrderedDict[tuple[str, int], TrackTemplate] = OrderedDict()
        self._disowned: dict[tuple[str, int], Identity] = {}
        self.use(gallery)

    def use(self, gallery: Gallery) -> None:
        """Recognise by this gallery from the next decision on; the evidence gathered stays.

        Raises GalleryError if it was made with another network.
        """
        if gallery.fingerprint != self._embedder.fingerprint:
            raise GalleryError("the gallery was made with another embedding network than the one in use: enroll again")
        calibrated = self._threshold is None
        threshold = gallery.calibration.threshold(self._fpir) if self._threshold is None else self._threshold
        self._known = ActiveGallery(gallery, threshold, calibrated)

    @property
    def known(self) -> ActiveGallery:
        """What decisions rest on now."""
        return self._known

    @property
    def people(self) -> int:
        """How many are known."""
        return len(self._known.gallery.names)

    def observe(self, restorations: Sequence[Restoration]) -> list[Identity]:
        """Who the restorations' tracks are, each by all of its track's evidence up to and with this restoration."""
        known, views = self._known, self._views(restorations)
        return [
            self._observed(known, restoration.crop, view) for restoration, view in zip(restorations, views, strict=True)
        ]

    def reidentify(self) -> Mapping[tuple[str, int], Identity]:
        """Who each track, by camera and number, is by the gallery now in use and the evidence so far."""
        known = self._known
        identities = {track: self._concluded(known, *track, "same") for track in self._tracks}
        return {**identities, **self.take_revoked()}

    def take_revoked(self) -> Mapping[tuple[str, int], Identity]:
        """Tracks that have lost their name to somebody beside them since this was last asked: who they are now."""
        lost, self._disowned = self._disowned, {}
        return lost

    def identify(self, restorations: Sequence[Restoration]) -> list[Identity]:
        """Who is on still pictures: each by itself, with no surcharge for being alone: no second view will come."""
        known, identities = self._known, []
        for view in self._views(restorations):
            evidence = TrackTemplate()
            evidence.add(view)
            care = 0.0 if view.restored is None else float(still_threshold_offset(view.blur))
            identities.append(_identify(known.gallery, evidence, known.threshold + care))
        return identities

    def forget(self, camera: str, track: int) -> None:
        """The track has ended; its evidence goes."""
        gone = self._tracks.pop((camera, track), None)
        self._disowned.pop((camera, track), None)
        for other in gone.apart if gone else ():
            if evidence := self._tracks.get((camera, other)):
                evidence.apart.discard(track)

    def _observed(self, known: ActiveGallery, crop: FaceCrop, view: ProbeSample) -> Identity:
        evidence = self._track(crop.camera, crop.track)
        body = evidence.add(view)
        evidence.apart |= crop.co_visible_tracks
        for other in crop.co_visible_tracks:
            if beside := self._tracks.get((crop.camera, other)):
                beside.apart.add(crop.track)
        return self._concluded(known, crop.camera, crop.track, body)

    def _concluded(self, known: ActiveGallery, camera: str, track: int, body: TrackContinuity) -> Identity:
        """Who a track is; its evidence remembers it."""
        evidence = self._tracks[camera, track]
        threshold = required_threshold(known.threshold, evidence.weight) - evidence.relief
        identity = _identify(known.gallery, evidence, threshold)
        if known.calibrated and known.gallery.names:
            identity = replace(
                identity, false_positive_rate=known.gallery.calibration.chance(identity.score + evidence.relief)
            )
        evidence.name(identity.name, known.gallery)
        evidence.identity = replace(self._alone(known, camera, evidence, identity), continuity=body)
        return evidence.identity

    def _alone(self, known: ActiveGallery, camera: str, evidence: TrackTemplate, identity: Identity) -> Identity:
        """Nobody is in one picture twice: of two tracks beside each other that would bear one name, that one does which
        bore it before, unless the other is clearly more similar."""
        held = evidence.held(known.gallery)
        for track in sorted(evidence.apart) if held is not None else ():
            rival = self._tracks.get((camera, track))
            if rival is None or rival.identity is None or rival.held(known.gallery) != held:
                continue
            if identity.score < rival.identity.score + MARGIN:
                return _without_name(evidence, identity, known, rival.identity.score + MARGIN)
            rival.identity = _without_name(rival, rival.identity, known, identity.score)
            self._disowned[camera, track] = rival.identity
        return identity

    def _track(self, camera: str, track: int) -> TrackTemplate:
        evidence = self._tracks.setdefault((camera, track), TrackTemplate())
        self._tracks.move_to_end((camera, track))
        if len(self._tracks) > TRACKS:
            self._tracks.popitem(last=False)
            self.dropped += 1
        return evidence

    def _views(self, restorations: Sequence[Restoration]) -> list[ProbeSample]:
        restored = [restoration for restoration in restorations if restoration.method != "none"]
        crops = [restoration.crop.image for restoration in restorations]
        embeddings = self._embedder.embed([*crops, *(restoration.image for restoration in restored)])
        second = iter(embeddings[len(crops) :])
        return [
            view_of(restoration, raw, None if restoration.method == "none" else next(second))
            for restoration, raw in zip(restorations, embeddings, strict=False)
        ]


def view_of(restoration: Restoration, raw: Array, restored: Array | None) -> ProbeSample:
    """What a restoration says, by the embeddings (D, of length 1) of its raw and, if there is one, restored crop."""
    quality, blur = restoration.crop.quality, restoration.blur
    weight = max(LEAST, quality.size * quality.pose / (1 + (blur / FADING) ** 2))
    if restored is None:
        return ProbeSample(weight, raw, None, raw, restoration.method, blur)
    return ProbeSample(weight, raw, restored, fused(raw, restored, blur), restoration.method, blur)


def _without_name(evidence: TrackTemplate, identity: Identity, known: ActiveGallery, threshold: float) -> Identity:
    """Somebody beside them bears it: they would have to be as similar as `threshold`."""
    evidence.name(None, known.gallery)
    return replace(identity, name=None, description=None, threshold=threshold)


def _identify(gallery: Gallery, evidence: TrackTemplate, threshold: float) -> Identity:
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
