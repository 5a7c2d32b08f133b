"""Motion of one face: a constant-velocity Kalman filter over its position.

The model is white-noise acceleration (Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and
Navigation", 2001, 6.2.2). Standard deviations are in widths of the face, because a near face moves and jitters by
more pixels than a far one; x and y share one 2 x 2 covariance, because their models are equal.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Point = NDArray[np.float64]

MEASUREMENT_STD = 0.03
"""Standard deviation of a detection's position, in widths: YuNet's on faces of 55-90 px (docs/design/tracking.md)."""
INITIAL_VELOCITY_STD = 10.0
"""Standard deviation of the unknown velocity of a face just found, in widths per second."""
ACCELERATION_STD = 3.0
"""Standard deviation of the change of a velocity in one second, in widths per second."""
INNOVATION_GATE = 4.0
"""Error, in standard deviations, from which the face is assumed to have changed its motion, not to jitter."""


class ConstantVelocityKalman:
    """Position (pixels) and velocity (pixels per second) of a face `width` pixels wide, with their uncertainty."""

    def __init__(self, position: Point, width: float) -> None:
        self.position = position
        self.velocity = np.zeros(2)
        self.width = width
        self._covariance = np.diag([MEASUREMENT_STD**2, INITIAL_VELOCITY_STD**2])

    @property
    def spread(self) -> float:
        """Standard deviation of the position of the next detection, in pixels."""
        return self.width * math.sqrt(self._covariance[0, 0] + MEASUREMENT_STD**2)

    def advance(self, seconds: float) -> None:
        """Predict the state `seconds` later."""
        self.position = self.position + self.velocity * seconds
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        self._covariance = step @ self._covariance @ step.T + self._process_noise(seconds, ACCELERATION_STD)

    def correct(self, position: Point, width: float, seconds: float) -> None:
        """Update with a detection, `seconds` after the previous one.

        One that is far from its expected position makes the velocity uncertain again, so that a face that turns
        or stops is followed at once while the jitter of a steady one is still averaged away.
        """
        error = position - self.position
        error_stds = float(np.hypot(*error)) / self.spread
        if error_stds > INNOVATION_GATE:
            self._covariance = self._covariance + self._process_noise(seconds, ACCELERATION_STD * error_stds)
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + MEASUREMENT_STD**2)
        self.position = self.position + gain[0] * error
        self.velocity = self.velocity + gain[1] * error
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])
        self.width += 0.3 * (width - self.width)

    @staticmethod
    def _process_noise(seconds: float, acceleration: float) -> Point:
        cross = seconds**2 / 2
        return acceleration**2 * np.array([[seconds**3 / 3, cross], [cross, seconds]])
