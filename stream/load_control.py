"""Load control: what is left out when a machine is too slow: first passes of restoration, then restoration, then
searches.

Only for live cameras. It depends on the measured delay of samples, from the queue to their result; the speed of the
machine is not configured.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from time import monotonic

HIGH_S = 0.5
"""A third of the 1.5 s that a picture may take to its name: samples that take longer cause the next level."""
LOW_S = 0.25
"""While samples take no longer, the level before may be tried again."""
SETTLE_S = 0.4
"""What a new level changes is seen after about one batch."""
FIRST_CALM_S, LONGEST_CALM_S = 5.0, 80.0
"""Calm before the level before is tried again; doubled after each try that failed."""
BATCH_S = 0.2
"""Target duration of a batch: new samples must wait for it."""
LARGEST_BATCH = 8
OLDEST_S = 1.2
"""A sample whose frame arrived longer ago is dropped: its event would be outdated."""
IN_TIME_S = 1.4
"""What is left of that when its batch takes longer than usual: it would come too late after all."""
FRESHEST_S = 0.5
"""Something must be identified even by the slowest machine."""
LONGEST_TURN_S = 10.0
"""Longest wait for a turn: the camera that has it may have failed."""
_SMOOTHING = 0.3
"""Weight of the newest batch in the running mean of what a sample costs."""


@dataclass(frozen=True, slots=True)
class Level:
    """How much is done: the most passes of the deblurring network that a sample has (0: nothing is restored, None: as
    configured), and the part of their usual time that searches for faces may take."""

    passes: int | None
    search: float = 1.0


LEVELS = (Level(None), Level(2), Level(1), Level(0), Level(0, 0.7), Level(0, 0.5), Level(0, 0.35))
"""From full work to the least."""


class LoadController:
    """Chooses the level of work by the delay of samples. One thread calls `observe`; others may read."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._place = 0
        self._changed_s = self._calm_since_s = clock()
        self._calm_s = FIRST_CALM_S
        self._raised = False
        self._cost_s = 0.0

    @property
    def level(self) -> Level:
        return LEVELS[self._place]

    @property
    def steps(self) -> int:
        """How far the level is from doing everything; 0: all is done."""
        return self._place

    @property
    def batch(self) -> int:
        """Samples to identify at once."""
        return max(1, min(LARGEST_BATCH, int(BATCH_S / self._cost_s))) if self._cost_s else LARGEST_BATCH

    @property
    def oldest_s(self) -> float:
        """How long ago the picture of a sample may have arrived when it is taken to be identified."""
        return max(FRESHEST_S, min(OLDEST_S, IN_TIME_S - self.batch * self._cost_s))

    def observe(self, samples: int, took_s: float, delay_s: float) -> None:
        """A batch of so many samples took so long, and its slowest sample `delay_s` from hand-over to result. Without
        samples: nothing waits."""
        if samples:
            cost_s = took_s / samples
            self._cost_s += _SMOOTHING * (cost_s - self._cost_s) if self._cost_s else cost_s
        now = self._clock()
        if delay_s > LOW_S:
            self._calm_since_s = now
        if delay_s > HIGH_S:
            self._do_less(now)
        elif now - self._calm_since_s >= self._calm_s:
            self._do_more(now)

    def _do_less(self, now: float) -> None:
        if self._place == len(LEVELS) - 1 or now - self._changed_s < SETTLE_S:
            return
        if self._raised:  # the try to do more has failed
            self._calm_s = min(2 * self._calm_s, LONGEST_CALM_S)
        self._change(self._place + 1, now, raised=False)

    def _do_more(self, now: float) -> None:
        if self._raised or self._place == 0:  # the level has lasted
            self._calm_s = FIRST_CALM_S
        if self._place:
            self._change(self._place - 1, now, raised=True)
        self._calm_since_s = now

    def _change(self, place: int, now: float, *, raised: bool) -> None:
        self._place, self._changed_s, self._raised = place, now, raised
        self._calm_since_s = now


class SearchBudget:
    """The time that live cameras' searches for faces may take, shared equally among them.

    On a CPU one core is left for all else, where there is more than one: no more searches run at a time, and cameras
    take turns in the order in which they come. A camera whose patience ends keeps its place in the queue; until it
    waits again, others go before it.
    """

    def __init__(self, cameras: int, load: LoadController, cores: int | None = None) -> None:
        cores = cores or _cores()
        self._load = load
        self._part = min(1.0, cores / max(1, cameras))
        self._free = max(1, cores - 1)
        self._queue: dict[object, bool] = {}  # in the order in which they came; whether each waits at this moment
        self._changed = threading.Condition()

    @property
    def part(self) -> float:
        """Of the time that a camera alone might take for its searches, the part that this camera may take now."""
        return self._part * self._load.level.search

    def begin(self, camera: object, patience_s: float) -> bool:
        """Wait until it is a camera's turn to search; False if it has not come within its patience."""
        with self._changed:
            self._queue[camera] = True
            in_turn = self._changed.wait_for(partial(self._is_next, camera), patience_s)
            if in_turn:
                self._free -= 1
                del self._queue[camera]
            else:
                self._queue[camera] = False
            if self._free:  # for the next in the queue
                self._changed.notify_all()
            return in_turn

    def end(self) -> None:
        """End the turn of a camera."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def leave(self, camera: object) -> None:
        """Remove a camera that has ended."""
        with self._changed:
            self._queue.pop(camera, None)

    def _is_next(self, camera: object) -> bool:
        waiting = (each for each, waits in self._queue.items() if waits)
        return camera in islice(waiting, self._free)


def _cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
