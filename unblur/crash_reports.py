"""Crash reports: an unexpected exception, wherever it is raised, becomes one line on standard error, and a file with
its traceback that can be sent to whoever maintains unblur.

Nothing heavy is imported here, so that `install` comes before all that may fail.
"""

from __future__ import annotations

import _thread
import logging
import os
import platform
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

KEPT = 20
"""Reports: so many are kept, of all runs together, and a process writes so many different ones."""
LONGEST = 200_000
"""Characters of a traceback; of a longer one the middle is left out."""
_SHOWN = 300
"""Characters of an exception's own words on the line."""
_HEAD = """\
unblur {version}, Python {python}, {platform}
{time}, {where}
command: {command}

Passwords and queries of addresses are left out. Read this before you send it: it may hold names of people and files.

"""
_AGAIN_S = 0.01
_INTERRUPTED = (KeyboardInterrupt, SystemExit)

_lock = threading.Lock()
_seen: Counter[str] = Counter()


def install() -> None:
    """Meet every exception that nothing else does: in the main thread, in others, in finalizers, and those that
    libraries (asyncio's loops and aiohttp's handlers among them) hand to `logging`."""
    sys.excepthook = _in_main_thread
    threading.excepthook = _in_thread
    sys.unraisablehook = _in_finalizer
    logging.getLogger().addHandler(_Handler(logging.WARNING))


def status() -> int:
    """The exit status of a process that is done: 1 if anything unexpected was met, else 0."""
    return 1 if _seen else 0


class Relay:
    """A context for the work of a child process: what is unexpected in it is handed to `send` as a text for `receive`,
    and ends the process with status 1, without a traceback on the terminal."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, _INTERRUPTED):
            with suppress(OSError):  # the parent process has ended
                self._send(_shortened(f"{_summary(error)}\n{_traceback(error)}"))
            raise SystemExit(1) from None


def receive(message: str, where: str) -> None:
    """Report what a child process, which may be compromised, has sent by a `Relay`."""
    summary, _, trace = _shortened(message).partition("\n")
    _report(f"{where}: {summary[:_SHOWN]}", summary[:_SHOWN], trace, where)


def report(error: BaseException, where: str) -> None:
    """Say the one line and write the file; of an exception that comes again from the same place, only how often."""
    _report(f"{_place(error)} {type(error).__name__}", _summary(error), _traceback(error), where)


def _report(key: str, summary: str, trace: str, where: str) -> None:
    with _lock:
        known = key in _seen or len(_seen) < KEPT
        _seen[key if known else "others"] += 1
        times = _seen[key if known else "others"]
    if str(times).rstrip("0") != "1":  # once, ten times, a hundred times
        return
    if times > 1 or not known:
        _say(f"an unexpected fault came {times} times by now: {summary}")
        return
    file = _write(f"{_head(where)}{_redacted(trace)}")
    advice = f"to report it, send the file {file}" if file else f"no file could be written for it; it was at {key}"
    _say(f"an unexpected fault in unblur: {summary}; {advice}")


def _in_main_thread(_: type[BaseException], error: BaseException | None, __: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        _say("interrupted")
    elif error is not None:
        report(error, "main thread")


def _in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, _INTERRUPTED):
        report(args.exc_value, f"thread {args.thread.name if args.thread else 'unknown'}")


def _in_finalizer(args: UnraisableHookArgs) -> None:
    if isinstance(args.exc_value, KeyboardInterrupt):
        _interrupt_again()
    elif args.exc_value is not None and not isinstance(args.exc_value, _INTERRUPTED):
        report(args.exc_value, args.err_msg or f"finalizer of {type(args.object).__name__}")


def _interrupt_again() -> None:
    """Python forgets an interruption that came in a finalizer: it comes once more, from outside."""
    again = threading.Timer(_AGAIN_S, _thread.interrupt_main)
    again.daemon = True
    with suppress(RuntimeError):  # the interpreter is at its end anyway
        again.start()


class _Handler(logging.Handler):
    """Takes the place of logging's last resort, which prints tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, _INTERRUPTED):
            report(error, f"{record.name}: {record.getMessage()}")
        else:
            from structlog import get_logger  # noqa: PLC0415  heavy, and not needed before something is logged

            get_logger(record.name).log(record.levelno, record.getMessage().partition("\n")[0], library=record.name)


def _write(text: str) -> Path | None:
    """The file, for its owner alone; in the temporary folder where the user's own cannot be written."""
    for folder in (user_state_path("unblur") / "crashes", Path(tempfile.gettempdir()) / f"unblur-{os.getuid()}"):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid != os.getuid():
                continue  # in a folder of everybody's, it may be somebody else's trap
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
    for old in sorted(folder.glob("crash-*.txt"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return folder / name


def _head(where: str) -> str:
    return _HEAD.format(
        version=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        where=_redacted(where),
        command=" ".join(map(_redacted, sys.argv)),
    )


def _traceback(error: BaseException) -> str:
    return _shortened("".join(traceback.format_exception(error)))


def _shortened(text: str) -> str:
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}\n[…]\n{text[-half:]}"


def _summary(error: BaseException) -> str:
    said = "".join(traceback.format_exception_only(error)).strip().partition("\n")[0]
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]} …"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "no place"


def _redacted(text: str) -> str:
    from stream.credentials import redact_credentials  # noqa: PLC0415  only from here on does the path hold the rooms of a wheel

    return redact_credentials(text)


def _say(line: str) -> None:
    """Print, if the part of unblur that does it can be had: what went wrong may have been just that."""
    try:
        from unblur.terminal import messages  # noqa: PLC0415  heavy, and not needed where nothing goes wrong
    except ImportError:
        sys.stderr.write(f"unblur: {line.encode('ascii', 'backslashreplace').decode()}\n")
    else:
        messages().say(f"unblur: {_redacted(line)}")
