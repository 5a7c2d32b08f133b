"""Several things that are done each for itself: what fails keeps none of the others waiting, and is told at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stream.errors import UnblurError


class Attempts:
    """What was tried; `failed` says of each thing that could not be done why, once."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    @contextmanager
    def trying(self) -> Iterator[None]:
        """What goes wrong in here is noted, and ends only this."""
        try:
            yield
        except (UnblurError, OSError) as error:
            self.note(str(error))

    def note(self, failure: str) -> None:
        """Something that could not be done."""
        if failure not in self.failed:
            self.failed.append(failure)


def require_done(failed: list[str] | tuple[str, ...]) -> None:
    """Raises UnblurError if anything failed, with all of it."""
    if failed:
        raise UnblurError(f"not all could be done: {'; '.join(failed)}; put it right, and do this again")
