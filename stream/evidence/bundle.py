"""What an event rests on, as one JSON object: `<event id>.json` beside its pictures."""

from __future__ import annotations

from collections.abc import Mapping

from stream.results import Event, FaceSample, Identity, iso
from stream.values import FaceCrop, Restoration, Track

BundleDict = dict[str, object]
VARYING = frozenset({"pictures", "written", "previous", "ran"})
"""Keys that may differ between two bundles of one event, seen twice."""


def build_bundle(
    event: Event, look: FaceSample, restoration: Restoration, provenance: Mapping[str, object]
) -> BundleDict:
    """All but the pictures' digests and the place in the chain.

    `provenance` is what the run knows: `software`, `models`, `gallery`, `threshold_from`, `ran`. The scores are of the
    whole track's evidence by then, and the crop is the latest, or for the end of a track its best.
    """
    return {
        "schema": 1,
        "event": event.to_json(),
        "scores": _scores(event.identity),
        "chance": event.identity.false_positive_rate,
        "threshold": event.identity.threshold,
        "blur": restoration.blur,
        "deblurred_by": restoration.method,
        "crop": _crop(restoration.crop, look),
        **provenance,
    }


def _scores(who: Identity) -> BundleDict:
    """Unrounded cosine similarities, as `stream.values.Identity` has them."""
    return {
        "score": who.score,
        "raw": who.raw_score,
        "restored": who.restored_score,
        "runner_up": who.runner_up.score if who.runner_up else None,
    }


def _crop(crop: FaceCrop, look: FaceSample) -> BundleDict:
    """Where and when the crop was cut: `matrix` (2 x 3) leads from frame to crop pixels, `landmarks` (5 x 2) are the
    face's points in the crop; `others` the frames of the crops that the deblurrer was shown beside it."""
    return {
        "frame": crop.frame,
        "frame_sha256": look.frame_sha256,
        "pts_s": crop.pts_s,
        "wall_time": iso(look.moment.wall_time) if look.moment.wall_time else None,
        "matrix": crop.matrix.tolist(),
        "landmarks": _aligned(look.track, crop),
        "motion": crop.velocity,
        "others": [other.frame for other in crop.neighbors],
        "quality": {"sharpness": crop.quality.sharpness, "size": crop.quality.size, "pose": crop.quality.pose},
    }


def _aligned(track: Track, crop: FaceCrop) -> list[list[float]]:
    points: list[list[float]] = (track.landmarks @ crop.matrix[:, :2].T + crop.matrix[:, 2]).tolist()
    return points
