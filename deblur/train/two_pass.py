"""The network looks twice: what it told of the blur at first is undone, and shown to it the second time."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import cv2
import numpy as np

from deblur import conditioning
from deblur.train.dataset import Batch
from stream.values import Array

_DELAY = 1
"""Fresh batches trained on between the two looks at one, while another process undoes the blur."""


def redeconvolve(batch: Batch, kernels: Array) -> Batch:
    """The batch with the blur undone by the kernels (N x 49 x 49, each with sum 1) that the network told of it."""
    hints = [
        conditioning.deconvolve_with_kernel(crop, kernel) for crop, kernel in zip(batch.crops, kernels, strict=True)
    ]
    return replace(batch, hints=np.stack(hints))


class TwoPassLoader:
    """Hands out each batch of a stream twice, fresh and with what `tell` was given about it undone."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches
        self._told: deque[Future[Batch]] = deque()
        self._fresh: Batch | None = None

    def __iter__(self) -> Iterator[Batch]:
        with ProcessPoolExecutor(1, get_context("spawn"), _quiet) as self._pool:
            for fresh in self._batches:
                self._fresh = fresh
                yield fresh
                self._fresh = None
                if len(self._told) > _DELAY:
                    yield self._told.popleft().result()

    def submit_kernels(self, kernels: Array) -> None:
        """The kernels told of the batch just handed out; of one seen twice they are not asked."""
        if self._fresh is not None:
            self._told.append(self._pool.submit(redeconvolve, self._fresh, kernels))


def _quiet() -> None:
    """A signal to the whole group is for the trainer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
