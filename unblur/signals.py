"""Signal handling: SIGTERM and a closed terminal end a run in order; SIGHUP after a log rotation is ignored.

SIGHUP has two meanings: the terminal was closed, or, for a service, `logrotate` has renamed the logs. Logs reopen
themselves once another file has their name, so the latter needs no action.
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
    """Ignore SIGHUP in a process without a terminal: for a service it means that its logs were rotated. Does nothing
    outside the main thread, the only one that may set signal handlers."""
    is_main = threading.current_thread() is threading.main_thread()
    if sys.platform != "win32" and is_main and not _has_terminal():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def end_in_order() -> None:
    """Make SIGTERM and a closed terminal raise KeyboardInterrupt in the main thread, as Ctrl-C does; under `nohup` the
    latter is ignored. Call it in the main thread only."""
    signal.signal(signal.SIGTERM, _interrupt)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _Hangup())


def status_of_interruption() -> int:
    """The exit status of a run ended by a signal: 129 for a closed terminal, 143 for SIGTERM, else 130."""
    return 128 + _ended_by


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _ended_by  # noqa: PLW0603  one per process
    _ended_by = number
    signal.default_int_handler(number, frame)


class _Hangup:
    """SIGHUP handler: it is a closed terminal if the process had a terminal and has none now, else a log rotation."""

    def __init__(self) -> None:
        self._had_terminal = _has_terminal()
        self._terminal_outputs = [output for output in _OUTPUTS if os.isatty(output)]

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self._had_terminal or _has_terminal():
            import structlog  # noqa: PLC0415  slow, and not needed by `unblur --help`

            structlog.get_logger(__name__).info("SIGHUP: the logs are opened anew with the next event")
            return
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a second one must not interrupt the end
        self._discard_output()
        _interrupt(number, frame)

    def _discard_output(self) -> None:
        """Redirect the closed terminal's outputs to the null device: writing to them would raise an error."""
        null_device = os.open(os.devnull, os.O_WRONLY)
        for output in self._terminal_outputs:
            os.dup2(null_device, output)
        os.close(null_device)


def _has_terminal() -> bool:
    """Whether the process has a controlling terminal (POSIX: /dev/tty)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
