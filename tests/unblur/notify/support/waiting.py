"""Wait for another thread or process."""

import time
from collections.abc import Callable

WITHIN_S = 60.0


def until(holds: Callable[[], bool]) -> None:
    """Poll `holds` until it is true; fail after `WITHIN_S`."""
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.01)  # interval of polling
