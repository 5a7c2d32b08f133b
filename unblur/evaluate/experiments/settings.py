"""Settings that the `unblur evaluate` commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from models.backends.selection import Backend
from unblur.evaluate.data.datasets import Split

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of an evaluation. `data`: a folder laid out like the project's shared data. `conditions`, `methods`: all
    if empty. `every`: take each n-th face or person. `network`: replaces the network that comes with unblur."""

    data: Path
    split: Split = "test"
    seed: int = 0
    every: int = 1
    conditions: Sequence[str] = ()
    methods: Sequence[str] = ()
    backend: Backend = "auto"
    network: Path | None = None


def run_parallel(work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """Run jobs in threads, one per core, and yield the results in order. The arithmetic releases the GIL."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            yield from pool.map(work, jobs)
        finally:
            pool.shutdown(cancel_futures=True)
