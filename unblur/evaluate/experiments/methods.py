"""The rows of the tables: what restores a blurred crop. A plain mapping from a row's name to what does it."""

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
from models.backends.selection import Backend, Session, load
from models.errors import ModelError
from stream.errors import UsageError
from stream.interfaces import Deblurrer
from stream.values import Array, FaceCrop, FaceQuality, Image, Restoration
from unblur.evaluate.data.blur_conditions import Another, Motion
from unblur.evaluate.reporting.run_record import named

CAMERA = "evaluation"
OPEN = {CAMERA: 1.0}
"""The camera of all probes has its shutter open all the time, so that a crop's motion is its blur."""
SEED = "richardson-lucy 5x5"
NETWORK = "cnn"
ONCE = "cnn, one look"
RICHARDSON_LUCY = "richardson-lucy"
ORACLE = "oracle"
COMPANY = "cnn, in company"
"""Shown what other pictures of the track show, too."""
INFORMED = "motion known"


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A blurred crop; and what is known of its blur, in pixels of the crop: the kernel (told to the oracle alone), and
    the motion where it is straight (told to informed rows; `crop.motion` is None). `others` are crops of the same face
    from other pictures (shown to rows in company; `crop.others` is empty)."""

    crop: FaceCrop
    kernel: Array
    motion: Motion | None
    others: tuple[FaceCrop, ...]


Restore = Callable[[Sequence[Probe]], list[Restoration]]
"""One restoration for each probe, in order."""


def probe(image: Image, matrix: Array, kernel: Array, motion: Motion | None, others: Sequence[Another] = ()) -> Probe:
    """`matrix` (2 x 3) leads from the photograph to the crop `image`; kernel and motion are the photograph's, and
    `others` show the same face at the same place."""
    turn = matrix[:, :2]
    crop = _crop(image, matrix)
    if motion is not None:
        x, y = turn @ np.array(motion)
        motion = float(x), float(y)
    return Probe(crop, kernels.warp(kernel, turn), motion, tuple(_cut_out(each, matrix) for each in others))


def _cut_out(another: Another, matrix: Array) -> FaceCrop:
    there = (another.astray @ np.vstack([matrix, (0, 0, 1)]))[:2].astype(np.float32)
    image = cv2.warpAffine(another.image, there, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)
    return _crop(np.asarray(image, np.uint8), there)


def _crop(image: Image, matrix: Array) -> FaceCrop:
    return FaceCrop(CAMERA, 0, 0, 0.0, image, matrix, None, FaceQuality(1, 1, 1))


Makers = Mapping[str, Callable[[], Deblurrer]]
"""Deblurrers by the names of their rows, made anew for each condition: some remember what they have seen."""


def makers(backend: Backend = "auto", network: Path | None = None) -> Makers:
    """What the product has to offer; with another network than the one that comes with it, if that is given.

    The network is loaded when it is first needed: ModelError is raised then if it cannot be used.
    """
    return {
        NETWORK: lambda: CNN(_session(backend, network), OPEN),
        COMPANY: lambda: CNN(_session(backend, network), OPEN),
        ONCE: lambda: CNN(_session(backend, network), OPEN, passes=1),
        RICHARDSON_LUCY: lambda: RichardsonLucyDeblurrer(OPEN),
    }


def told(names: Sequence[str], backend: Backend, network: Path | None) -> list[str]:
    """For the record: which network is judged and what runs it, if it is among the methods.

    Loads it, so that one that cannot be used is told before any work is done. Raises ModelError.
    """
    if not {NETWORK, COMPANY, ONCE}.intersection(names):
        return []
    session = _session(backend, network)
    return [f"network: {named(network or manifest.trained_network('deblur').path)}, run by {session.backend}"]


@cache
def _session(backend: Backend, network: Path | None) -> Session:
    if network:
        return _deblurring(load(network, backend), network)
    own = manifest.trained_network("deblur")
    return load(own.path, backend, sha256=own.sha256)


def _deblurring(session: Session, network: Path) -> Session:
    """Raises ModelError unless the network takes and gives what the deblurring network does."""
    crops = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    try:
        restored, *_ = Inputs(crops, crops, np.zeros((1, 2), np.float32), crops.repeat(2, -1)).run(session)
    except (ModelError, KeyError) as error:
        raise ModelError(f"{network} is no deblurring network: it takes {', '.join(session.names)}") from error
    if (restored.shape, restored.dtype) != (crops.shape, crops.dtype):
        raise ModelError(f"{network} is no deblurring network: it gives {restored.dtype} {restored.shape}")
    return session


def methods(names: Sequence[str], deblurrers: Makers, straight: bool) -> dict[str, Restore]:
    """The rows of these methods, without the blurred crop itself. Each of `deblurrers` gives one row blind and, where
    the blur is `straight`, one with the motion known."""
    rows: dict[str, Restore] = {SEED: seed} if SEED in names else {}
    for name, make in deblurrers.items():
        if name in names:
            company = name == COMPANY
            rows[name] = told_of(make(), motion=False, others=company)
            if straight:
                rows[f"{name}, {INFORMED}"] = told_of(make(), motion=True, others=company)
    return rows | ({ORACLE: oracle} if ORACLE in names else {})


def chosen(names: Sequence[str], deblurrers: Makers) -> Sequence[str]:
    """The methods that are asked for; all, if none is named. Raises UsageError for one that there is not."""
    known = [SEED, *deblurrers, ORACLE]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no method is called {unknown[0]!r}: there are {', '.join(known)}")
    return names or known


def told_of(deblurrer: Deblurrer, motion: bool, others: bool) -> Restore:
    """With the motion told as a tracker would, or not; and shown what other pictures show, or not."""

    def restore(probes: Sequence[Probe]) -> list[Restoration]:
        return deblurrer.restore([
            replace(each.crop, velocity=each.motion if motion else None, neighbors=each.others if others else ())
            for each in probes
        ])  # fmt: skip

    return restore


def left(probes: Sequence[Probe]) -> list[Restoration]:
    """Nothing is done."""
    return [Restoration(probe.crop, probe.crop.image, "none", 0.0) for probe in probes]


def seed(probes: Sequence[Probe]) -> list[Restoration]:
    """The seed's preset on every crop, without a gate."""
    return [_restored(probe, deconvolve_with_box_kernel(probe.crop.image)) for probe in probes]


def oracle(probes: Sequence[Probe]) -> list[Restoration]:
    """Richardson-Lucy with total variation and the true kernel, which no blind method has."""
    return [
        _restored(probe, deconvolve(probe.crop.image, probe.kernel, final_iterations(kernels.extent(probe.kernel))))
        for probe in probes
    ]


def _restored(probe: Probe, image: Image) -> Restoration:
    return Restoration(probe.crop, image, "richardson-lucy", kernels.extent(probe.kernel))
