"""Restoration methods, the rows of the result tables: functions that restore blurred crops, keyed by row name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from deblur import kernels
from deblur.cnn import CNN, SIDE, Inputs
from deblur.deblurrers import RichardsonLucyDeblurrer, deconvolve_with_box_kernel, final_iterations
from deblur.richardson_lucy import deconvolve
from models.assets import manifest
from models.backends.selection import Backend, NetworkSession, load
from models.errors import ModelError
from stream.errors import UsageError
from stream.interfaces import Deblurrer
from stream.values import Array, FaceCrop, FaceQuality, Image, Restoration
from unblur.evaluate.data.blur_conditions import Motion, NeighborShot
from unblur.evaluate.reporting.run_record import describe_file

CAMERA = "evaluation"
OPEN = {CAMERA: 1.0}
"""Shutter fraction of the probes' camera: 1, so that a crop's velocity is its blur."""
PRESET = "richardson-lucy 5x5"
NETWORK = "cnn"
ONE_PASS = "cnn, one pass"
RICHARDSON_LUCY = "richardson-lucy"
ORACLE = "oracle"
WITH_NEIGHBORS = "cnn, neighbors"
"""The network also gets the neighbor crops."""
_RENAMED = {"cnn, one look": ONE_PASS, "cnn, in company": WITH_NEIGHBORS}
"""Methods of the last release and their present names: read for one more."""
MOTION_KNOWN = "motion known"


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A blurred crop with its true kernel (for the oracle only), its motion if straight (crop pixels; for the rows
    with known motion) and its neighbor crops (for the rows with neighbors). `crop` has neither."""

    crop: FaceCrop
    kernel: Array
    motion: Motion | None
    neighbors: tuple[FaceCrop, ...]


Restore = Callable[[Sequence[Probe]], list[Restoration]]
"""Returns one restoration for each probe, in order."""


def make_probe(
    image: Image, matrix: Array, kernel: Array, motion: Motion | None, neighbors: Sequence[NeighborShot] = ()
) -> Probe:
    """Make a probe. `matrix` (2 x 3) maps the photograph to the crop `image`; kernel and motion are in pixels of
    the photograph; `neighbors` show the same face at the same place."""
    linear = matrix[:, :2]
    crop = _crop(image, matrix)
    if motion is not None:
        x, y = linear @ np.array(motion)
        motion = float(x), float(y)
    return Probe(crop, kernels.warp(kernel, linear), motion, tuple(_crop_neighbor(each, matrix) for each in neighbors))


def _crop_neighbor(neighbor: NeighborShot, matrix: Array) -> FaceCrop:
    own_matrix = (neighbor.misalignment @ np.vstack([matrix, (0, 0, 1)]))[:2].astype(np.float32)
    image = cv2.warpAffine(neighbor.image, own_matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)
    return _crop(np.asarray(image, np.uint8), own_matrix)


def _crop(image: Image, matrix: Array) -> FaceCrop:
    return FaceCrop(CAMERA, 0, 0, 0.0, image, matrix, None, FaceQuality(1, 1, 1))


DeblurrerFactories = Mapping[str, Callable[[], Deblurrer]]
"""Factories of deblurrers by row name. Each condition gets new deblurrers, since some keep state."""


def deblurrer_factories(backend: Backend = "auto", network: Path | None = None) -> DeblurrerFactories:
    """Return factories of the product's deblurrers. `network` replaces the network that comes with unblur.

    The network is loaded at its first use, which may raise ModelError.
    """
    return {
        NETWORK: lambda: CNN(_session(backend, network), OPEN),
        WITH_NEIGHBORS: lambda: CNN(_session(backend, network), OPEN),
        ONE_PASS: lambda: CNN(_session(backend, network), OPEN, passes=1),
        RICHARDSON_LUCY: lambda: RichardsonLucyDeblurrer(OPEN),
    }


def describe_network(names: Sequence[str], backend: Backend, network: Path | None) -> list[str]:
    """Describe the evaluated network and its backend for the record, if the methods use it.

    Loads the network, so that an unusable one fails before any work is done. Raises ModelError.
    """
    if not {NETWORK, WITH_NEIGHBORS, ONE_PASS}.intersection(names):
        return []
    session = _session(backend, network)
    return [f"network: {describe_file(network or manifest.trained_network('deblur').path)}, run by {session.backend}"]


@cache
def _session(backend: Backend, network: Path | None) -> NetworkSession:
    if network:
        return _check_network(load(network, backend), network)
    own = manifest.trained_network("deblur")
    return load(own.path, backend, sha256=own.sha256)


def _check_network(session: NetworkSession, network: Path) -> NetworkSession:
    """Raise ModelError unless the network has the inputs and outputs of a deblurring network."""
    crops = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    try:
        restored, *_ = Inputs(crops, crops, np.zeros((1, 2), np.float32), crops.repeat(2, -1)).run(session)
    except (ModelError, KeyError) as error:
        raise ModelError(f"{network} is no deblurring network: it takes {', '.join(session.names)}") from error
    if (restored.shape, restored.dtype) != (crops.shape, crops.dtype):
        raise ModelError(f"{network} is no deblurring network: it gives {restored.dtype} {restored.shape}")
    return session


def make_rows(names: Sequence[str], deblurrers: DeblurrerFactories, straight: bool) -> dict[str, Restore]:
    """Make the rows of these methods, without the raw crop. Each of `deblurrers` gives a blind row and, if the blur is
    `straight`, a row with known motion."""
    rows: dict[str, Restore] = {PRESET: restore_with_preset} if PRESET in names else {}
    for name, make in deblurrers.items():
        if name in names:
            neighbors = name == WITH_NEIGHBORS
            rows[name] = restore_with(make(), motion=False, neighbors=neighbors)
            if straight:
                rows[f"{name}, {MOTION_KNOWN}"] = restore_with(make(), motion=True, neighbors=neighbors)
    return rows | ({ORACLE: restore_with_true_kernel} if ORACLE in names else {})


def select_methods(names: Sequence[str], deblurrers: DeblurrerFactories) -> Sequence[str]:
    """Select methods by name, all if `names` is empty. Raises UsageError for an unknown name."""
    available = [PRESET, *deblurrers, ORACLE]
    names = [_RENAMED.get(name, name) for name in names]
    unknown = [name for name in names if name not in available]
    if unknown:
        raise UsageError(f"no method is called {unknown[0]!r}: there are {', '.join(available)}")
    return names or available


def restore_with(deblurrer: Deblurrer, motion: bool, neighbors: bool) -> Restore:
    """Make a row of a deblurrer that gets, if set, the probes' motion (as from a tracker) and their neighbor crops."""

    def restore(probes: Sequence[Probe]) -> list[Restoration]:
        return deblurrer.restore([
            replace(each.crop, velocity=each.motion if motion else None, neighbors=each.neighbors if neighbors else ())
            for each in probes
        ])  # fmt: skip

    return restore


def leave_blurred(probes: Sequence[Probe]) -> list[Restoration]:
    """Return the crops unchanged."""
    return [Restoration(probe.crop, probe.crop.image, "none", 0.0) for probe in probes]


def restore_with_preset(probes: Sequence[Probe]) -> list[Restoration]:
    """Apply Richardson-Lucy with the fixed 5 x 5 box kernel to every crop, without a gate."""
    return [_restoration(probe, deconvolve_with_box_kernel(probe.crop.image)) for probe in probes]


def restore_with_true_kernel(probes: Sequence[Probe]) -> list[Restoration]:
    """Apply Richardson-Lucy with total variation and the true kernel, which no blind method knows."""
    return [
        _restoration(probe, deconvolve(probe.crop.image, probe.kernel, final_iterations(kernels.extent(probe.kernel))))
        for probe in probes
    ]


def _restoration(probe: Probe, image: Image) -> Restoration:
    return Restoration(probe.crop, image, "richardson-lucy", kernels.extent(probe.kernel))
