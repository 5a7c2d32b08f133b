"""The web application: builds the aiohttp application from its pages, behind the authentication middleware."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from unblur.web.transport.openapi import ROOT, Endpoint, build_document
from unblur.web.transport.path_prefix import prefix
from unblur.web.transport.rendering import LINKS
from unblur.web.transport.security_headers import STATIC, protect

_FILES = Path(__file__).parents[1] / "static"


def build_application(guard: Middleware, pages: Sequence[Page]) -> web.Application:
    """The aiohttp application of `pages`, with static files and the OpenAPI document; `guard` is the middleware."""
    operations = [operation for page in pages for operation in page.operations()]
    openapi = build_document(operations)

    async def describe(request: web.Request) -> web.Response:
        return web.json_response({**openapi, "servers": [{"url": prefix(request) or "/"}]})

    app = web.Application(middlewares=[guard])
    app.on_response_prepare.append(protect)
    app[LINKS] = [(page.name, page.path) for page in pages if page.path]
    app.add_routes([web.static(STATIC, _FILES), web.get(f"{ROOT}/openapi.json", describe)])
    for page in pages:
        app.add_routes([*page.routes(), *(operation.route() for operation in page.operations())])
    return app


class Page(Protocol):
    """A page of the application, with its routes and REST endpoints."""

    @property
    def name(self) -> str:
        """Its section in the texts."""
        ...

    @property
    def path(self) -> str | None:
        """The path in the navigation; None if it is not listed there."""
        ...

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Routes of its pages and files."""
        ...

    def operations(self) -> Sequence[Endpoint]:
        """Its endpoints of the REST interface."""
        ...
