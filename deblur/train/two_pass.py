"""Training in two passes: the second is conditioned on the deconvolution with the kernel estimated in the first."""

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
"""Fresh batches between the two passes of one, while another process deconvolves."""


def redeconvolve(batch: Batch, kernels: Array) -> Batch:
    """Replace the hints by the deconvolution with the estimated kernels (N x 49 x 49, each with sum 1)."""
    hints = [
        conditioning.deconvolve_with_kernel(crop, kernel) for crop, kernel in zip(batch.crops, kernels, strict=True)
    ]
    return replace(batch, hints=np.stack(hints))


class TwoPassLoader:
    """Yields each batch of a stream twice: fresh, and deconvolved with the kernels given to `submit_kernels`."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches
        self._second_pass: deque[Future[Batch]] = deque()
        self._fresh: Batch | None = None

    def __iter__(self) -> Iterator[Batch]:
        with ProcessPoolExecutor(1, get_context("spawn"), _initialize_worker) as self._pool:
            for fresh in self._batches:
                self._fresh = fresh
                yield fresh
                self._fresh = None
                if len(self._second_pass) > _DELAY:
                    yield self._second_pass.popleft().result()

    def submit_kernels(self, kernels: Array) -> None:
        """Take the kernels estimated for the last batch; ignored after its second pass."""
        if self._fresh is not None:
            self._second_pass.append(self._pool.submit(redeconvolve, self._fresh, kernels))


def _initialize_worker() -> None:
    """Ignore interrupts: the trainer handles those of the process group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
