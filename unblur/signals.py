"""Signals that end a run in order, and the one that says that logs were rotated.

SIGHUP has two meanings: the terminal was closed, or, for a service, `logrotate` has renamed the logs. Logs are opened
anew by themselves once another file has their name, so nothing is to be done for the latter.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

_OUTPUTS = (1, 2)

_ended_by: int = signal.SIGINT


def ignore_hangup_of_services() -> None:
    """From the first moment on, a process without a terminal is not ended by SIGHUP: for a service, it means that its
    logs were rotated. Nothing is done in other threads than the main one, which alone may say so."""
    is_main = threading.current_thread() is threading.main_thread()
    if sys.platform != "win32" and is_main and not _has_terminal():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def end_in_order() -> None:
    """From now on SIGTERM, and a terminal that is closed, raise KeyboardInterrupt in the main thread, as Ctrl-C does;
    under `nohup` the latter is ignored. For the main thread alone."""
    signal.signal(signal.SIGTERM, _interrupt)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _Hangup())


def status_of_interruption() -> int:
    """The exit status of a run that a signal ended: 129 where its terminal was closed, 143 for SIGTERM, else 130."""
    return 128 + _ended_by


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _ended_by  # noqa: PLW0603  a process has one end
    _ended_by = number
    signal.default_int_handler(number, frame)


class _Hangup:
    """Tells a closed terminal from rotated logs: by whether there was a terminal, and is none any more."""

    def __init__(self) -> None:
        self._had_terminal = _has_terminal()
        self._shown_there = [output for output in _OUTPUTS if os.isatty(output)]

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self._had_terminal or _has_terminal():
            import structlog  # noqa: PLC0415  slow, and not needed by `unblur --help`

            structlog.get_logger(__name__).info("SIGHUP: the logs are opened anew with the next event")
            return
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a second one must not interrupt the end
        self._show_nothing()
        _interrupt(number, frame)

    def _show_nothing(self) -> None:
        """What is still said has no place to go, and would be an error."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for output in self._shown_there:
            os.dup2(nowhere, output)
        os.close(nowhere)


def _has_terminal() -> bool:
    """Whether the process has a controlling terminal (POSIX: /dev/tty)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
