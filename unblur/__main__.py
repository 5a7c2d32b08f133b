"""The entry of the command `unblur`, and of `python -m unblur`."""

import os
import sys
from pathlib import Path

# In a wheel every room lies inside this package, so that site-packages gains one name only; the rooms import each other
# by their plain names, in a checkout and here alike.
_HERE = Path(__file__).parent
if (_HERE / "stream").is_dir():
    sys.path.insert(0, str(_HERE))


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


def main() -> None:
    _open_closed_streams()
    from unblur import crash  # only now are the rooms on the path

    crash.install()
    from unblur.cli import main as run

    sys.exit(run() or crash.status())


if __name__ == "__main__":
    main()
