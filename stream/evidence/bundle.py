"""Evidence bundle of an event: one JSON object, `<event id>.json`, next to its images."""

from __future__ import annotations

from collections.abc import Mapping

from stream.results import Event, FaceSample, Identity, iso
from stream.values import FaceCrop, Restoration, Track

BundleDict = dict[str, object]
VARYING = frozenset({"pictures", "written", "previous", "ran"})
"""Keys that may differ between two bundles of one event, from two runs."""


def build_bundle(
    event: Event, sample: FaceSample, restoration: Restoration, provenance: Mapping[str, object]
) -> BundleDict:
    """Build a bundle, without the images' digests and the position in the chain.

    `provenance` describes the run: `software`, `models`, `gallery`, `threshold_from`, `ran`. The scores are of the
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
        "crop": _crop(restoration.crop, sample),
        **provenance,
    }


def _scores(identity: Identity) -> BundleDict:
    """Unrounded cosine similarities, as `stream.values.Identity` has them."""
    return {
        "score": identity.score,
        "raw": identity.raw_score,
        "restored": identity.restored_score,
        "runner_up": identity.runner_up.score if identity.runner_up else None,
    }


def _crop(crop: FaceCrop, sample: FaceSample) -> BundleDict:
    """Origin of the crop: `matrix` (2 x 3) maps frame to crop pixels, `landmarks` (5 x 2) are the face's points in the
    crop, `others` the frames of its neighbor crops."""
    return {
        "frame": crop.frame,
        "frame_sha256": sample.frame_sha256,
        "pts_s": crop.pts_s,
        "wall_time": iso(sample.moment.wall_time) if sample.moment.wall_time else None,
        "matrix": crop.matrix.tolist(),
        "landmarks": _landmarks_in_crop(sample.track, crop),
        "motion": crop.velocity,
        "others": [other.frame for other in crop.neighbors],
        "quality": {"sharpness": crop.quality.sharpness, "size": crop.quality.size, "pose": crop.quality.pose},
    }


def _landmarks_in_crop(track: Track, crop: FaceCrop) -> list[list[float]]:
    points: list[list[float]] = (track.landmarks @ crop.matrix[:, :2].T + crop.matrix[:, 2]).tolist()
    return points
