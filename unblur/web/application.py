"""The web application: its pages one after the other, behind the guard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from unblur.web.api import ROOT, document
from unblur.web.headers import STATIC, protect
from unblur.web.page import Page
from unblur.web.prefix import prefix
from unblur.web.site import LINKS

_FILES = Path(__file__).with_name("static")


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
