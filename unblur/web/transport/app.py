"""The web application: its pages one after the other, behind the guard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from unblur.web.transport.openapi import ROOT, Endpoint, document
from unblur.web.transport.path_prefix import prefix
from unblur.web.transport.rendering import LINKS
from unblur.web.transport.security_headers import STATIC, protect

_FILES = Path(__file__).parents[1] / "static"


def application(guard: Middleware, pages: Sequence[Page]) -> web.Application:
    """Everything that is served."""
    operations = [operation for page in pages for operation in page.operations()]
    described = document(operations)

    async def describe(request: web.Request) -> web.Response:
        return web.json_response({**described, "servers": [{"url": prefix(request) or "/"}]})

    made = web.Application(middlewares=[guard])
    made.on_response_prepare.append(protect)
    made[LINKS] = [(page.name, page.path) for page in pages if page.path]
    made.add_routes([web.static(STATIC, _FILES), web.get(f"{ROOT}/openapi.json", describe)])
    for page in pages:
        made.add_routes([*page.routes(), *(operation.route() for operation in page.operations())])
    return made


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

    def operations(self) -> Sequence[Endpoint]:
        """Its part of the REST interface."""
        ...
