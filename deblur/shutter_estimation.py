"""Maximum-likelihood estimation of a camera's shutter fraction: the share of the frame's time that the shutter is open.

The length of a motion blur is the speed of the face times this fraction, which few cameras report. A face of power
spectrum S that is blurred by a line of length l along the known direction has the spectrum S sinc^2(l f) + noise, and
Whittle's likelihood ("Estimation and information in stationary time series", 1953) says how well each l explains the
observed one. Neither identity nor restoration is needed; log-likelihoods of the crops of a camera add up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from deblur import blur_estimation
from deblur.blur_estimation import COEFFICIENTS, scale
from stream.values import Array, FaceCrop

FRACTIONS = np.linspace(0, 1, 21, dtype=np.float32)
"""Candidate shutter fractions; 0 is no blur."""
SLOWEST = 6.0
"""Crop pixels per frame below which a crop gives no information on the shutter."""
_PRIOR_MEAN = 0.5
_PRIOR_STD = 0.25
_REACH = blur_estimation.SIDE // 4
"""Highest frequency used, in cycles per crop: beyond it noise and compression dominate."""
_LOWEST = 2
_RESOLVED = 0.35
"""Cycles per frame pixel up to which an enlarged crop still has detail."""
_FEWEST = 8
"""Frequencies up to this many cycles per crop are used even for the smallest face."""
_NOISE = 3.0
"""Variance of a sensor's noise in squared gray levels."""
_FAINTEST = 1e-6
"""Contrast of an empty crop."""
_INDEPENDENT = 1 / 2.25
"""Share of the frequencies that are independent under a Hann window."""
_LARGEST_LOSS = 25.0
"""Limit, in nats, of what one crop counts against a fraction: a wrong velocity must not outweigh all other crops."""
_MEMORY = 0.98
"""Decay of the summed log-likelihood at each new crop: about 50 crops count, so that a changed shutter is noticed."""
_LEAST_GAIN = 3.0
"""Nats by which a blur must explain a crop better than no blur, for it to be deconvolved."""

_ROWS, _COLUMNS = np.arange(-_REACH - 1, _REACH + 2), np.arange(-1, _REACH + 2)
"""Cycles per crop, down and across, with one more on each side for the leakage of the window."""
_RADIUS = np.hypot(_ROWS[1:-1, None], _COLUMNS[1:-1])


class Shutter:
    """Shutter fraction of each camera: a setting, or estimated from the crops. Not thread-safe."""

    def __init__(self, settings: Mapping[str, float] | None = None) -> None:
        """`settings` are the fractions by camera, 0..1; those of other cameras are estimated. Raises ValueError for a
        fraction out of range."""
        self._settings = dict(settings or {})
        if not all(0 <= fraction <= 1 for fraction in self._settings.values()):
            raise ValueError(f"a shutter fraction lies in 0..1: {self._settings}")
        self._log_likelihoods: dict[str, NDArray[np.float32]] = {}
        with np.load(COEFFICIENTS, allow_pickle=False) as stored:
            self._face: Array = stored["spectrum"][_ROWS[:, None], np.abs(_COLUMNS)]

    def fraction(self, camera: str) -> float:
        """Return the setting, or the most likely fraction given the crops so far; 0.5 before the first."""
        if camera in self._settings:
            return self._settings[camera]
        return float(FRACTIONS[1:][np.argmax(self._log_likelihoods.get(camera, _PRIOR)[1:])])

    def observe(self, crop: FaceCrop) -> float:
        """Return the length in pixels of the crop's blur along its motion; 0 if it is sharp or hardly moves.

        Also updates the estimate of the camera's shutter.
        """
        if crop.speed < SLOWEST:
            return 0.0
        likelihood = self.likelihood(crop)
        if crop.camera not in self._settings:
            loss = np.maximum(likelihood - likelihood.max(), -_LARGEST_LOSS)
            self._log_likelihoods[crop.camera] = _MEMORY * self._log_likelihoods.get(crop.camera, _PRIOR) + loss
        fraction = self.fraction(crop.camera)
        gain = np.interp(fraction, FRACTIONS, likelihood) - likelihood[0]
        return fraction * crop.speed if gain > _LEAST_GAIN else 0.0

    def likelihood(self, crop: FaceCrop) -> Array:
        """Return the log-likelihood (nats) of each of `FRACTIONS`, with the face's contrast fitted. Raises ValueError
        for a crop without velocity."""
        if crop.velocity is None:
            raise ValueError("a crop without motion gives no information on the shutter")
        highest = np.clip(blur_estimation.SIDE * _RESOLVED / scale(crop), _FEWEST, _REACH)
        used = (_RADIUS >= _LOWEST) & (highest > _RADIUS)
        power = blur_estimation.power(crop.image)[_ROWS[1:-1, None], _COLUMNS[1:-1]][used]
        expected = self._expected_power(crop.velocity)[:, used]
        total = _fit_contrast(power, expected) * expected + _NOISE
        return np.asarray(-_INDEPENDENT * (np.log(total) + power / total).sum(1), np.float32)

    def _expected_power(self, motion: tuple[float, float]) -> Array:
        """Return the power spectrum of a typical face, blurred by each fraction of `motion` and windowed (Hann)."""
        cycles = ((motion[0] * _COLUMNS + motion[1] * _ROWS[:, None]) / blur_estimation.SIDE).astype(np.float32)
        power = np.sinc(FRACTIONS[:, None, None] * cycles) ** 2 * self._face
        power = (power[:, :-2] + 4 * power[:, 1:-1] + power[:, 2:]) / 6
        return np.asarray((power[:, :, :-2] + 4 * power[:, :, 1:-1] + power[:, :, 2:]) / 6, np.float32)


def _fit_contrast(power: Array, expected: Array) -> Array:
    """Fit the most likely factor between each row of `expected` and `power`, by iteratively reweighted means."""
    contrast = np.maximum(power.mean() / expected.mean(1, keepdims=True), _FAINTEST)
    for _ in range(4):
        weight = (contrast / (contrast * expected + _NOISE)) ** 2 * expected
        contrast = (weight * (power - _NOISE)).sum(1, keepdims=True) / (weight * expected).sum(1, keepdims=True)
        contrast = np.maximum(contrast, _FAINTEST)
    return np.asarray(contrast, np.float32)


_PRIOR = -0.5 * ((FRACTIONS - _PRIOR_MEAN) / _PRIOR_STD) ** 2
