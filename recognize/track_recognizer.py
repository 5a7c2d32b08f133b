"""Identification of tracks: the embeddings of a track, raw and restored, are merged into a template and then decided.

For the weight of a restored crop see `restoration_fusion`; the weights below were chosen on `val`
(`benchmarks/threshold.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from recognize.decision import MARGIN, decide, required_threshold
from recognize.embedders.embedder import Embedder
from recognize.gallery.calibration import DEFAULT_FPIR
from recognize.gallery.people_gallery import Gallery
from recognize.restoration_fusion import fuse, still_threshold_offset
from recognize.track_template import ProbeSample, TrackTemplate
from stream.errors import GalleryError
from stream.results import Identity, TrackContinuity
from stream.values import Array, FaceCrop, Restoration

FADING = 10.0
"""Blur extent in crop pixels at which a sample has half the weight of a sharp one; beyond, it falls with the square."""
LEAST = 0.02
"""Lowest weight of a sample."""
TRACKS = 1024
"""Largest number of open tracks; beyond it the least recently used one is dropped."""


class ActiveGallery(NamedTuple):
    """A gallery with its threshold, and whether the threshold is calibrated: replaced in one step, so that no decision
    mixes two."""

    gallery: Gallery
    threshold: float
    calibrated: bool


class TrackRecognizer:
    """Identifies tracks by their templates; satisfies `stream.interfaces.Recognizer`. Not thread-safe, except `use`.

    `threshold` is the cosine similarity that a name needs; without one it follows from the gallery's calibration for
    the false positive identification rate `fpir` (0..1), as measured for SFace. `dropped` counts tracks whose template
    was dropped because too many were open.
    """

    def __init__(
        self, embedder: Embedder, gallery: Gallery, threshold: float | None = None, fpir: float = DEFAULT_FPIR
    ) -> None:
        self.dropped = 0
        self._fpir = fpir
        self._embedder = embedder
        self._threshold = threshold
        self._tracks: OrderedDict[tuple[str, int], TrackTemplate] = OrderedDict()
        self._revoked: dict[tuple[str, int], Identity] = {}
        self.use(gallery)

    def use(self, gallery: Gallery) -> None:
        """Use this gallery from the next decision on; templates stay.

        Raises GalleryError if it was made with another network.
        """
        if gallery.fingerprint != self._embedder.fingerprint:
            raise GalleryError("the gallery was made with another embedding network than the one in use: enroll again")
        calibrated = self._threshold is None
        threshold = gallery.calibration.threshold(self._fpir) if self._threshold is None else self._threshold
        self._known = ActiveGallery(gallery, threshold, calibrated)

    @property
    def known(self) -> ActiveGallery:
        """The gallery and threshold in use."""
        return self._known

    @property
    def people(self) -> int:
        """Number of enrolled people."""
        return len(self._known.gallery.names)

    def observe(self, restorations: Sequence[Restoration]) -> list[Identity]:
        """Identify the track of each restoration by all of its samples up to and including this one."""
        active, samples = self._known, self._embed(restorations)
        return [
            self._observe(active, restoration.crop, sample)
            for restoration, sample in zip(restorations, samples, strict=True)
        ]

    def reidentify(self) -> Mapping[tuple[str, int], Identity]:
        """Identify each track, by camera and number, with the gallery now in use."""
        active = self._known
        identities = {track: self._identify_track(active, *track, "same") for track in self._tracks}
        return {**identities, **self.take_revoked()}

    def take_revoked(self) -> Mapping[tuple[str, int], Identity]:
        """Return the tracks that lost their name to a co-visible track since the last call, with their new
        identities."""
        revoked, self._revoked = self._revoked, {}
        return revoked

    def identify(self, restorations: Sequence[Restoration]) -> list[Identity]:
        """Identify the faces of still images, each independently, without the threshold offset for few samples."""
        active, identities = self._known, []
        for sample in self._embed(restorations):
            template = TrackTemplate()
            template.add(sample)
            offset = 0.0 if sample.restored is None else float(still_threshold_offset(sample.blur))
            identities.append(_identify(active.gallery, template, active.threshold + offset))
        return identities

    def forget(self, camera: str, track: int) -> None:
        """Remove the template of a track that has ended."""
        removed = self._tracks.pop((camera, track), None)
        self._revoked.pop((camera, track), None)
        for other in removed.co_visible_tracks if removed else ():
            if template := self._tracks.get((camera, other)):
                template.co_visible_tracks.discard(track)

    def _observe(self, active: ActiveGallery, crop: FaceCrop, sample: ProbeSample) -> Identity:
        template = self._track(crop.camera, crop.track)
        continuity = template.add(sample)
        template.co_visible_tracks |= crop.co_visible_tracks
        for other in crop.co_visible_tracks:
            if neighbor := self._tracks.get((crop.camera, other)):
                neighbor.co_visible_tracks.add(crop.track)
        return self._identify_track(active, crop.camera, crop.track, continuity)

    def _identify_track(self, active: ActiveGallery, camera: str, track: int, continuity: TrackContinuity) -> Identity:
        """Identify a track and store the result in its template."""
        template = self._tracks[camera, track]
        threshold = required_threshold(active.threshold, template.weight) - template.threshold_relief
        identity = _identify(active.gallery, template, threshold)
        if active.calibrated and active.gallery.names:
            identity = replace(
                identity,
                false_positive_rate=active.gallery.calibration.false_positive_rate(
                    identity.score + template.threshold_relief
                ),
            )
        template.assign_name(identity.name, active.gallery)
        template.identity = replace(self._resolve_conflict(active, camera, template, identity), continuity=continuity)
        return template.identity

    def _resolve_conflict(
        self, active: ActiveGallery, camera: str, template: TrackTemplate, identity: Identity
    ) -> Identity:
        """Keep a name unique among co-visible tracks: the track that had it first keeps it, unless the other is clearly
        more similar."""
        assigned = template.assigned_index(active.gallery)
        for track in sorted(template.co_visible_tracks) if assigned is not None else ():
            rival = self._tracks.get((camera, track))
            if rival is None or rival.identity is None or rival.assigned_index(active.gallery) != assigned:
                continue
            if identity.score < rival.identity.score + MARGIN:
                return _revoke_name(template, identity, active, rival.identity.score + MARGIN)
            rival.identity = _revoke_name(rival, rival.identity, active, identity.score)
            self._revoked[camera, track] = rival.identity
        return identity

    def _track(self, camera: str, track: int) -> TrackTemplate:
        template = self._tracks.setdefault((camera, track), TrackTemplate())
        self._tracks.move_to_end((camera, track))
        if len(self._tracks) > TRACKS:
            self._tracks.popitem(last=False)
            self.dropped += 1
        return template

    def _embed(self, restorations: Sequence[Restoration]) -> list[ProbeSample]:
        restored = [restoration for restoration in restorations if restoration.method != "none"]
        crops = [restoration.crop.image for restoration in restorations]
        embeddings = self._embedder.embed([*crops, *(restoration.image for restoration in restored)])
        restored_embeddings = iter(embeddings[len(crops) :])
        return [
            make_probe_sample(restoration, raw, None if restoration.method == "none" else next(restored_embeddings))
            for restoration, raw in zip(restorations, embeddings, strict=False)
        ]


def make_probe_sample(restoration: Restoration, raw: Array, restored: Array | None) -> ProbeSample:
    """Make a sample of a restoration and the embeddings (D, of length 1) of its raw and, if any, restored crop."""
    quality, blur = restoration.crop.quality, restoration.blur
    weight = max(LEAST, quality.size * quality.pose / (1 + (blur / FADING) ** 2))
    if restored is None:
        return ProbeSample(weight, raw, None, raw, restoration.method, blur)
    return ProbeSample(weight, raw, restored, fuse(raw, restored, blur), restoration.method, blur)


def _revoke_name(template: TrackTemplate, identity: Identity, active: ActiveGallery, threshold: float) -> Identity:
    """Remove the name, which a co-visible track has; this track would need `threshold`."""
    template.assign_name(None, active.gallery)
    return replace(identity, name=None, description=None, threshold=threshold)


def _identify(gallery: Gallery, template: TrackTemplate, threshold: float) -> Identity:
    deblurred_by, blur = template.latest.method, template.latest.blur
    if not gallery.names:
        restored = 0.0 if template.restored else None
        return Identity(None, 0.0, threshold, None, 0.0, restored, deblurred_by, blur)
    scores, raw, restored_scores = gallery.scores(template.means())
    decision = decide(scores, raw, template.assigned_index(gallery), threshold)
    name = gallery.names[decision.person]
    return Identity(
        name=name if decision.named else None,
        score=float(scores[decision.person]),
        threshold=decision.threshold,
        runner_up=None if decision.runner_up is None else gallery.candidate(decision.runner_up, scores),
        raw_score=float(raw[decision.person]),
        restored_score=float(restored_scores[decision.person]) if template.restored else None,
        deblurred_by=deblurred_by,
        blur=blur,
        description=gallery.people[name].description if decision.named else None,
    )
