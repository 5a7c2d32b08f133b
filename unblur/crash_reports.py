"""Crash reports: an unexpected exception, wherever it is raised, becomes one line on standard error, and a file with
its traceback that can be sent to the maintainers.

Nothing heavy is imported here, so that `install` can run before anything that may fail.
"""

from __future__ import annotations

import _thread
import logging
import os
import platform
import signal
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from platformdirs import user_state_path

from unblur import __version__

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

MAX_REPORTS = 20
"""Report files kept, of all runs together; also the limit of different reports in one process."""
MAX_TRACEBACK = 200_000
"""Characters of a traceback in a report; the middle of a longer one is cut out."""
_SUMMARY_LENGTH = 300
"""Characters of an exception's message on the printed line."""
_HEAD = """\
unblur {version}, Python {python}, {platform}
{time}, {where}
command: {command}

Passwords and queries of addresses are left out. Read this before you send it: it may hold names of people and files.

"""
_RETRY_S = 0.01
_INTERRUPTED = (KeyboardInterrupt, SystemExit)

_lock = threading.Lock()
_counts: Counter[str] = Counter()


def install() -> None:
    """Report every uncaught exception: in the main thread, in other threads, in finalizers, and those that libraries
    (such as asyncio's loops and aiohttp's handlers) pass to `logging`."""
    sys.excepthook = _handle_in_main_thread
    threading.excepthook = _handle_in_thread
    sys.unraisablehook = _handle_in_finalizer
    logging.getLogger().addHandler(_Handler(logging.WARNING))


def status() -> int:
    """The exit status of a process at its end: 1 if anything was reported, else 0."""
    return 1 if _counts else 0


class Relay:
    """Context manager for the work of a child process: passes an unexpected exception to `send` as a text for
    `receive`, and ends the process with status 1, without a traceback on the terminal."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, _INTERRUPTED):
            with suppress(OSError):  # the parent process has ended
                self._send(_shorten(f"{_summary(error)}\n{_traceback(error)}"))
            raise SystemExit(1) from None


def receive(message: str, where: str) -> None:
    """Report the `message` that a child process has sent by a `Relay`; the process may be compromised, so the message
    is shortened again."""
    summary, _, trace = _shorten(message).partition("\n")
    _report(f"{where}: {summary[:_SUMMARY_LENGTH]}", summary[:_SUMMARY_LENGTH], trace, where)


def report(error: BaseException, where: str) -> None:
    """Print one line and write the report file; for an exception repeated at the same place, print only its count."""
    _report(f"{_origin(error)} {type(error).__name__}", _summary(error), _traceback(error), where)


def _report(key: str, summary: str, trace: str, where: str) -> None:
    with _lock:
        is_listed = key in _counts or len(_counts) < MAX_REPORTS
        _counts[key if is_listed else "others"] += 1
        times = _counts[key if is_listed else "others"]
    if str(times).rstrip("0") != "1":  # print the 1st, 10th, 100th ... time
        return
    if times > 1 or not is_listed:
        _print(f"an unexpected fault came {times} times by now: {summary}")
        return
    file = _write(f"{_head(where)}{_redact(trace)}")
    advice = f"to report it, send the file {file}" if file else f"no file could be written for it; it was at {key}"
    _print(f"an unexpected fault in unblur: {summary}; {advice}")


def _handle_in_main_thread(_: type[BaseException], error: BaseException | None, __: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        _print("interrupted")
    elif error is not None:
        report(error, "main thread")


def _handle_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, _INTERRUPTED):
        report(args.exc_value, f"thread {args.thread.name if args.thread else 'unknown'}")


def _handle_in_finalizer(args: UnraisableHookArgs) -> None:
    if isinstance(args.exc_value, KeyboardInterrupt):
        _interrupt_again()
    elif args.exc_value is not None and not isinstance(args.exc_value, _INTERRUPTED):
        report(args.exc_value, args.err_msg or f"finalizer of {type(args.object).__name__}")


def _interrupt_again() -> None:
    """Interrupt the main thread again: Python discards a KeyboardInterrupt that is raised in a finalizer."""
    again = threading.Timer(_RETRY_S, _interrupt_main_thread)
    again.daemon = True
    with suppress(RuntimeError):  # the interpreter is shutting down
        again.start()


def _interrupt_main_thread() -> None:
    """A real signal, where there is one: it also ends what the main thread is waiting for."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()


class _Handler(logging.Handler):
    """Reports logged exceptions and logs other messages; replaces logging's last resort, which prints tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, _INTERRUPTED):
            report(error, f"{record.name}: {record.getMessage()}")
        else:
            from structlog import get_logger  # noqa: PLC0415  heavy, and not needed before something is logged

            get_logger(record.name).log(record.levelno, record.getMessage().partition("\n")[0], library=record.name)


def _write(text: str) -> Path | None:
    """Write a report readable for its owner alone and return its path; in the temporary folder if the user's state
    folder cannot be written, None if neither can."""
    for folder in (user_state_path("unblur") / "crashes", Path(tempfile.gettempdir()) / f"unblur-{os.getuid()}"):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid != os.getuid():
                continue  # another user may have made it in the shared temporary folder
            return _write_to(folder, text)
        except OSError:
            continue
    return None


def _write_to(folder: Path, text: str) -> Path:
    name = f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.txt"
    descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123  a descriptor
            file.write(text)
    except OSError:
        (folder / name).unlink(missing_ok=True)
        raise
    for old in sorted(folder.glob("crash-*.txt"))[:-MAX_REPORTS]:
        old.unlink(missing_ok=True)
    return folder / name


def _head(where: str) -> str:
    return _HEAD.format(
        version=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        where=_redact(where),
        command=" ".join(map(_redact, sys.argv)),
    )


def _traceback(error: BaseException) -> str:
    return _shorten("".join(traceback.format_exception(error)))


def _shorten(text: str) -> str:
    half = MAX_TRACEBACK // 2
    return text if len(text) <= MAX_TRACEBACK else f"{text[:half]}\n[…]\n{text[-half:]}"


def _summary(error: BaseException) -> str:
    line = "".join(traceback.format_exception_only(error)).strip().partition("\n")[0]
    return line if len(line) <= _SUMMARY_LENGTH else f"{line[:_SUMMARY_LENGTH]} …"


def _origin(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "no place"


def _redact(text: str) -> str:
    from stream.credentials import redact_credentials  # noqa: PLC0415  in a wheel, not importable earlier

    return redact_credentials(text)


def _print(line: str) -> None:
    """Print a line on standard error, also if the import of `unblur.terminal` is what failed."""
    try:
        from unblur.terminal import messages  # noqa: PLC0415  heavy, and not needed where nothing goes wrong
    except ImportError:
        sys.stderr.write(f"unblur: {line.encode('ascii', 'backslashreplace').decode()}\n")
    else:
        messages().say(f"unblur: {_redact(line)}")
