"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable

WITHIN_S = 60.0


def until(holds: Callable[[], bool]) -> None:
    """Look again and again, and fail when it has not come about in `WITHIN_S`."""
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)  # between looks
