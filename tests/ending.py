"""What a test opens is closed when the test is over, however it ends: no failing test disturbs the tests after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

_tests: list[ExitStack] = []


@contextmanager
def closing_what_is_opened() -> Iterator[None]:
    """A test. What fixtures of a module or of the session opened before it stays open."""
    with ExitStack() as opened:
        _tests.append(opened)
        try:
            yield
        finally:
            _tests.remove(opened)


def at_end(close: Callable[[], object]) -> None:
    """Call `close` when the test at hand is over. It may have been called already, and must bear that."""
    if _tests:
        _tests[-1].callback(close)
