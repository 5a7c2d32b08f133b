"""Supervised threads: an exception is counted and logged, and the thread runs again; and thread priorities."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from weakref import WeakSet

import structlog

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
"""The wait before the next attempt: it doubles, and begins anew once an attempt has lasted for the longest wait."""

_log = structlog.get_logger(__name__)
_known: WeakSet[SupervisedThread] = WeakSet()
_known_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class ThreadState:
    """State of a supervised thread: number of restarts, and the error after which it waits; None while it runs."""

    name: str
    restarts: int
    problem: str | None


class SupervisedThread:
    """A daemon thread that runs `target` from `start` to its end; where `target` raises, again after a wait that
    doubles. `target` must be fit to run again, and return soon once its owner has asked it to end."""

    def __init__(self, name: str, target: Callable[[], None], first_retry_s: float | None = None) -> None:
        self._name, self._target = name, target
        self._first_retry_s = FIRST_RETRY_S if first_retry_s is None else first_retry_s
        self._closing = threading.Event()
        self._restarts = 0
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        with _known_lock:
            _known.add(self)
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._thread.ident is not None

    @property
    def state(self) -> ThreadState:
        """The present state."""
        return ThreadState(self._name, self._restarts, self._problem)

    def close(self) -> None:
        """Run `target` no more, and wait for its end, which its owner has asked for."""
        self._closing.set()
        if self.started:
            self._thread.join()
        with _known_lock:
            _known.discard(self)

    def _run(self) -> None:
        retry_s = self._first_retry_s
        while True:
            began = time.monotonic()
            with _ErrorHandler(self._failed):
                self._target()
                return
            if time.monotonic() - began > LONGEST_RETRY_S:
                retry_s = self._first_retry_s
            if self._closing.wait(retry_s):
                return
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)
            self._restarts += 1
            self._problem = None

    def _failed(self, error: Exception, where: str) -> None:
        self._problem = " ".join(f"{type(error).__name__}: {error}".split())
        _log.error("a thread failed, and will be run again", thread=self._name, problem=self._problem, where=where)


class _ErrorHandler(AbstractContextManager[None]):
    """Context that passes an exception to `failed` instead of raising it."""

    def __init__(self, failed: Callable[[Exception, str], None]) -> None:
        self._failed = failed

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._failed(error, _place(trace))
        return True


def _place(trace: TracebackType | None) -> str:
    """File and line where an exception was raised."""
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""


def thread_states() -> list[ThreadState]:
    """All supervised threads of this process that were started and not closed, by name."""
    with _known_lock:
        return sorted((thread.state for thread in _known), key=lambda state: state.name)


DECODING_STEPS = 4
"""Steps of niceness for decoding and detection: they have a thread for each camera, identification has one for all."""

LONGEST_NICE = 19


def lower_priority(steps: int) -> None:
    """Raise the niceness of the calling thread by so many steps. Only Linux has a niceness for each thread, which
    threads that it starts inherit; on other systems nothing happens."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = min(LONGEST_NICE, os.getpriority(os.PRIO_PROCESS, thread) + steps)
        os.setpriority(os.PRIO_PROCESS, thread, nice)
