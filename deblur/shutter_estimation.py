"""How long is a motion blur? As long as the face moves while the shutter is open: its speed times a fraction of the
frame's time that belongs to the camera, and that the camera rarely tells.

A crop bears witness to it. Blurred by a line of length l along the known direction, a face of power spectrum S shows
S sinc^2(l f) + noise, and Whittle's likelihood ("Estimation and information in stationary time series", 1953) says
how well each l explains what is seen. No name and no restoration is needed, and log-likelihoods of many crops add up
to the camera's own fraction.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from deblur import blur_estimation
from deblur.blur_estimation import COEFFICIENTS, scale
from stream.values import Array, FaceCrop

FRACTIONS = np.linspace(0, 1, 21, dtype=np.float32)
"""The shutter fractions that are tried; 0 is no blur."""
SLOWEST = 6.0
"""Crop pixels per frame below which a crop tells nothing about the shutter."""
_TYPICAL = 0.5
_SPREAD = 0.25
_REACH = blur_estimation.SIDE // 4
"""Frequencies up to this many cycles per crop are looked at: beyond, noise and compression rule."""
_LOWEST = 2
_RESOLVED = 0.35
"""Cycles per frame pixel up to which an enlarged crop still holds anything."""
_FEWEST = 8
"""Cycles per crop that are looked at even in the smallest face."""
_NOISE = 3.0
"""Variance of a sensor's noise in squared grey levels."""
_FAINTEST = 1e-6
"""Contrast of a crop that shows nothing."""
_INDEPENDENT = 1 / 2.25
"""Share of the frequencies that are independent under a Hann window."""
_LOUDEST = 25.0
"""The most, in nats, that one crop may say against a fraction: a wrong velocity must not outvote the rest."""
_MEMORY = 0.98
"""What is kept of the evidence at each new crop: some 50 crops, so that a shutter that changes is followed."""
_CONVINCED = 3.0
"""Nats by which a blur must explain a crop better than none before it is undone."""

_ROWS, _COLUMNS = np.arange(-_REACH - 1, _REACH + 2), np.arange(-1, _REACH + 2)
"""Cycles per crop, down and across, with one more on each side for the window's smear."""
_RADIUS = np.hypot(_ROWS[1:-1, None], _COLUMNS[1:-1])


class Shutter:
    """Each camera's shutter fraction: a setting, or learnt from the crops. Used by one thread at a time."""

    def __init__(self, settings: Mapping[str, float] | None = None) -> None:
        """`settings` are the fractions of the frame's time that cameras' shutters are open, in 0..1; of a camera that
        is not among them it is learnt."""
        self._settings = dict(settings or {})
        if not all(0 <= fraction <= 1 for fraction in self._settings.values()):
            raise ValueError(f"a shutter fraction lies in 0..1: {self._settings}")
        self._evidence: dict[str, NDArray[np.float32]] = {}  # a few numbers for each camera of the configuration
        with np.load(COEFFICIENTS, allow_pickle=False) as stored:
            self._face: Array = stored["spectrum"][_ROWS[:, None], np.abs(_COLUMNS)]

    def fraction(self, camera: str) -> float:
        """The setting, or the likeliest fraction by the crops observed so far; 0.5 before the first."""
        if camera in self._settings:
            return self._settings[camera]
        return float(FRACTIONS[1:][np.argmax(self._evidence.get(camera, _PRIOR)[1:])])

    def observe(self, crop: FaceCrop) -> float:
        """The length in pixels of the crop's blur along its motion; 0 if it is sharp along it, or hardly moves.

        What the crop tells about its camera's shutter is remembered.
        """
        if crop.speed < SLOWEST:
            return 0.0
        likelihood = self.likelihood(crop)
        if crop.camera not in self._settings:
            told = np.maximum(likelihood - likelihood.max(), -_LOUDEST)
            self._evidence[crop.camera] = _MEMORY * self._evidence.get(crop.camera, _PRIOR) + told
        fraction = self.fraction(crop.camera)
        gain = np.interp(fraction, FRACTIONS, likelihood) - likelihood[0]
        return fraction * crop.speed if gain > _CONVINCED else 0.0

    def likelihood(self, crop: FaceCrop) -> Array:
        """The log-likelihood (nats) of each of `FRACTIONS`, the face's contrast being unknown."""
        if crop.velocity is None:
            raise ValueError("a crop without motion tells nothing about the shutter")
        highest = np.clip(blur_estimation.SIDE * _RESOLVED / scale(crop), _FEWEST, _REACH)
        seen = (_RADIUS >= _LOWEST) & (highest > _RADIUS)
        power = blur_estimation.power(crop.image)[_ROWS[1:-1, None], _COLUMNS[1:-1]][seen]
        expected = self._blurred(crop.velocity)[:, seen]
        total = _contrast(power, expected) * expected + _NOISE
        return np.asarray(-_INDEPENDENT * (np.log(total) + power / total).sum(1), np.float32)

    def _blurred(self, motion: tuple[float, float]) -> Array:
        """The typical face's power, blurred by each fraction of `motion`, as the Hann window smears it."""
        cycles = ((motion[0] * _COLUMNS + motion[1] * _ROWS[:, None]) / blur_estimation.SIDE).astype(np.float32)
        power = np.sinc(FRACTIONS[:, None, None] * cycles) ** 2 * self._face
        power = (power[:, :-2] + 4 * power[:, 1:-1] + power[:, 2:]) / 6
        return np.asarray((power[:, :, :-2] + 4 * power[:, :, 1:-1] + power[:, :, 2:]) / 6, np.float32)


def _contrast(power: Array, expected: Array) -> Array:
    """The likeliest factor between each row of `expected` and `power`, by iteratively reweighted means."""
    contrast = np.maximum(power.mean() / expected.mean(1, keepdims=True), _FAINTEST)
    for _ in range(4):
        weight = (contrast / (contrast * expected + _NOISE)) ** 2 * expected
        contrast = (weight * (power - _NOISE)).sum(1, keepdims=True) / (weight * expected).sum(1, keepdims=True)
        contrast = np.maximum(contrast, _FAINTEST)
    return np.asarray(contrast, np.float32)


_PRIOR = -0.5 * ((FRACTIONS - _TYPICAL) / _SPREAD) ** 2
