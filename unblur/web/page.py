"""What the web application is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from unblur.web.api import Operation


class Page(Protocol):
    """A part of the application: a page, and what belongs to it."""

    @property
    def name(self) -> str:
        """The section of its texts."""
        ...

    @property
    def path(self) -> str | None:
        """Where the navigation leads; None for a part without a place in it."""
        ...

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Pages and files."""
        ...

    def operations(self) -> Sequence[Operation]:
        """Its part of the REST interface."""
        ...
