"""How one face moves: a constant-velocity Kalman filter over its position.

The model is white-noise acceleration (Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and
Navigation", 2001, 6.2.2). Spreads are in widths of the face, because a near face moves and jitters by more pixels than
a far one; x and y share one 2 x 2 covariance, because nothing tells them apart.
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
"""How much a velocity changes by itself: standard deviation after one second, in widths per second."""
INNOVATION_GATE = 4.0
"""Standard deviations of error from which the face is taken to have changed its motion, not to jitter."""


class ConstantVelocityKalman:
    """Position (pixels) and velocity (pixels per second) of a face `width` pixels wide, with their uncertainty."""

    def __init__(self, position: Point, width: float) -> None:
        self.position = position
        self.velocity = np.zeros(2)
        self.width = width
        self._covariance = np.diag([MEASUREMENT_STD**2, INITIAL_VELOCITY_STD**2])

    @property
    def spread(self) -> float:
        """Standard deviation of where the next detection will lie, in pixels."""
        return self.width * math.sqrt(self._covariance[0, 0] + MEASUREMENT_STD**2)

    def advance(self, seconds: float) -> None:
        """Move on without a detection."""
        self.position = self.position + self.velocity * seconds
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        self._covariance = step @ self._covariance @ step.T + self._agitation(seconds, ACCELERATION_STD)

    def correct(self, position: Point, width: float, seconds: float) -> None:
        """Take in a detection, `seconds` after the one before.

        One that lies far from where it was expected makes the velocity uncertain again, so that a face that turns
        or stops is followed at once while the jitter of a steady one is still averaged away.
        """
        error = position - self.position
        surprise = float(np.hypot(*error)) / self.spread
        if surprise > INNOVATION_GATE:
            self._covariance = self._covariance + self._agitation(seconds, ACCELERATION_STD * surprise)
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + MEASUREMENT_STD**2)
        self.position = self.position + gain[0] * error
        self.velocity = self.velocity + gain[1] * error
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])
        self.width += 0.3 * (width - self.width)

    @staticmethod
    def _agitation(seconds: float, agility: float) -> Point:
        cross = seconds**2 / 2
        return agility**2 * np.array([[seconds**3 / 3, cross], [cross, seconds]])
