"""Servers for the tests."""

from __future__ import annotations

from collections.abc import Sequence

from configs.schema import Web
from stream.stages import Source
from unblur.web.guard import guard
from unblur.web.page import Page
from unblur.web.watching import Watching


def opened(settings: Web, sources: Sequence[Source], pages: Sequence[Page] = ()) -> Watching:
    """Open to whoever has the token."""
    watching = Watching(settings, sources)
    try:
        watching.open(guard(settings.token), pages)
    except BaseException:
        watching.close()
        raise
    return watching
