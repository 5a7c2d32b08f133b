"""The entry of the command `unblur`, and of `python -m unblur`."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

# In a wheel, every top-level package is inside this one, so that site-packages gains one name only; the packages import
# each other by their plain names, in a checkout and in a wheel.
_HERE = Path(__file__).parent
if (_HERE / "stream").is_dir():
    sys.path.insert(0, str(_HERE))


_INTERRUPTED = 128 + signal.SIGINT
"""The exit status that a shell reports after Ctrl-C."""


def _open_closed_streams() -> None:
    """Replace a closed standard stream (`>&-`) by the null device: otherwise the next opened file would get its file
    descriptor, and the output of libraries would be written into it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null_device = os.open(os.devnull, os.O_RDWR)
            if null_device != number:
                os.dup2(null_device, number)
                os.close(null_device)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def _exit_on_interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Signal handler: end the process on Ctrl-C during the imports. It raises no exception, since some imported code
    swallows every exception."""
    _print_interrupted()
    os._exit(_INTERRUPTED)


def _print_interrupted() -> None:
    with suppress(OSError):
        os.write(2, b"unblur: interrupted\n")


def main() -> None:
    """Run the command line and exit with its status."""
    _open_closed_streams()
    is_interruptible = signal.getsignal(signal.SIGINT) == signal.default_int_handler
    if is_interruptible:
        signal.signal(signal.SIGINT, _exit_on_interrupt)
    from unblur import crash_reports  # the packages of a wheel are on the path only now

    crash_reports.install()
    from unblur.cli import main as run

    def raise_interruptions() -> None:
        if is_interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        status = run(on_loaded=raise_interruptions) or crash_reports.status()
    except KeyboardInterrupt:
        _print_interrupted()
        status = _INTERRUPTED
    sys.exit(status)


if __name__ == "__main__":
    main()
