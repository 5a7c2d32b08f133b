"""Provenance of an identification, for its evidence: software, networks, gallery and origin of the threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from configs.schema import Config
from models.assets import manifest
from models.assets.cache import digest
from recognize.track_recognizer import ActiveGallery, TrackRecognizer
from unblur import __version__


def provenance(
    config: Config, recognizer: TrackRecognizer, ran: Callable[[], Mapping[str, object]]
) -> Callable[[], Mapping[str, object]]:
    """Return a function that gives the current provenance for evidence bundles, with the gallery in use at the time of
    the call. `ran` returns, for each network in use, its backend and the sha256 of the loaded file."""
    fixed = {"software": f"unblur {__version__}", "models": _models(config, recognizer.known)}
    given = config.recognition.threshold is not None

    def now() -> Mapping[str, object]:
        known = recognizer.known
        return {**fixed, "gallery": _gallery(known), "threshold_from": _threshold(known, given), "ran": ran()}

    return now


def _models(config: Config, known: ActiveGallery) -> dict[str, object]:
    """The sha256 of each network's file; None for the deblurring network if the settings do not use it."""
    wanted = config.deblur.mode in ("auto", "cnn") and config.deblur.preset != "box5"
    return {
        "detector": _detector(config),
        "embedder": {config.recognition.embedder: known.gallery.fingerprint},
        "deblurring": {"deblur": manifest.trained_network("deblur").sha256} if wanted else None,
    }


def _detector(config: Config) -> dict[str, str]:
    if config.detection.detector == "yunet":
        return {"yunet": manifest.network("yunet").sha256}
    package = find_spec("facenet_pytorch")
    folders = package.submodule_search_locations if package else None
    return {file.stem: digest(file) for folder in folders or () for file in sorted(Path(folder).glob("data/*net.pt"))}


def _gallery(known: ActiveGallery) -> dict[str, object] | None:
    if known.gallery.sha256 is None:
        return None
    return {"sha256": known.gallery.sha256, "people": len(known.gallery.names)}


def _threshold(known: ActiveGallery, given: bool) -> dict[str, object]:
    """The base threshold and its origin, before evidence and restoration change it (docs/design/evidence.md)."""
    if given:
        return {"base": known.threshold, "origin": "given"}
    calibration = known.gallery.calibration
    origin = f"calibrated (version {calibration.version}) for a gallery of {calibration.people}"
    origin += f": {calibration.threshold_offset:.3f} for their likeness"
    return {"base": known.threshold, "origin": origin}
