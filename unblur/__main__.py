"""The entry of the command `unblur`, and of `python -m unblur`."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

# In a wheel every room lies inside this package, so that site-packages gains one name only; the rooms import each other
# by their plain names, in a checkout and here alike.
_HERE = Path(__file__).parent
if (_HERE / "stream").is_dir():
    sys.path.insert(0, str(_HERE))


_INTERRUPTED = 128 + signal.SIGINT
"""The exit status, as a shell has it."""


def _open_closed_streams() -> None:
    """Where a standard stream was closed, as by `>&-`, put the null device: else the next file that is opened would get
    its number, and what libraries print would be written there."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Ctrl-C before anything has begun. No exception: among the imports there is code that swallows any."""
    _say_interrupted()
    os._exit(_INTERRUPTED)


def _say_interrupted() -> None:
    with suppress(OSError):
        os.write(2, b"unblur: interrupted\n")


def main() -> None:
    _open_closed_streams()
    is_interruptible = signal.getsignal(signal.SIGINT) == signal.default_int_handler
    if is_interruptible:
        signal.signal(signal.SIGINT, _leave)
    from unblur import crash_reports  # only now are the rooms on the path

    crash_reports.install()
    from unblur.cli import main as run

    def raise_interruptions() -> None:
        if is_interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        status = run(on_loaded=raise_interruptions) or crash_reports.status()
    except KeyboardInterrupt:
        _say_interrupted()
        status = _INTERRUPTED
    sys.exit(status)


if __name__ == "__main__":
    main()
