"""The power spectrum of a face crop: blur is written there in plain sight, as what is missing."""

from __future__ import annotations

import cv2
import numpy as np
import scipy.fft

from stream.values import Array, Image

SIDE = 128
"""Pixels of the crop's centre that are looked at, across and down."""

_hann = np.hanning(SIDE + 2)[1:-1]
_WINDOW = np.outer(_hann, _hann).astype(np.float32) / np.float32((_hann**2).mean())


def power(image: Image) -> Array:
    """Squared grey levels per frequency, `SIDE` x (`SIDE` / 2 + 1), float32, laid out as by `rfft2`.

    White noise of variance v gives v everywhere. The crop's middle is weighed by a Hann window, so that its border
    casts no cross. Raises ValueError for a crop smaller than `SIDE`.
    """
    top, left = (image.shape[0] - SIDE) // 2, (image.shape[1] - SIDE) // 2
    if min(top, left) < 0:
        raise ValueError(f"blur is measured on {SIDE} x {SIDE} pixels, the crop has {image.shape[:2]}")
    grey = cv2.cvtColor(image[top : top + SIDE, left : left + SIDE], cv2.COLOR_BGR2GRAY).astype(np.float32)
    grey -= np.vdot(grey, _WINDOW) / _WINDOW.sum()
    spectrum = scipy.fft.rfft2(grey * _WINDOW)
    return np.asarray((spectrum.real**2 + spectrum.imag**2) / SIDE**2, np.float32)


def frequencies() -> tuple[Array, Array]:
    """Down (column) and across (row), in cycles per pixel, as `power` lays them out."""
    return (
        scipy.fft.fftfreq(SIDE).astype(np.float32)[:, None],
        scipy.fft.rfftfreq(SIDE).astype(np.float32)[None, :],
    )
