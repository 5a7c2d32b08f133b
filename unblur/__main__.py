"""The entry of the command `unblur`, and of `python -m unblur`."""

import sys
from pathlib import Path

# In a wheel every room lies inside this package, so that site-packages gains one name only; the rooms import each other
# by their plain names, in a checkout and here alike.
_HERE = Path(__file__).parent
if (_HERE / "stream").is_dir():
    sys.path.insert(0, str(_HERE))


def main() -> None:
    from unblur import crash  # only now are the rooms on the path

    crash.install()
    from unblur.cli import main as run

    sys.exit(run() or crash.status())


if __name__ == "__main__":
    main()
