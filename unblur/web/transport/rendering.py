"""Rendering of pages: templates, texts and navigation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from unblur.web.transport.access import current_user
from unblur.web.transport.path_prefix import prefix

_HERE = Path(__file__).parents[1]
CSRF = web.RequestKey("csrf", str)
"""The CSRF token that the forms of a response must contain."""


LINKS: web.AppKey[Sequence[tuple[str, str]]] = web.AppKey("links")
"""The navigation: names of texts and their paths."""


def render(request: web.Request, name: str, /, status: int = 200, **values: object) -> web.Response:
    """The page `name`: its template with `values`, its section of the texts as `text`, and the current user as
    `user`."""
    sections = texts()
    html = (
        _templates()
        .get_template(f"{name}.html")
        .render(
            **values,
            text=sections[name],
            common=sections["common"],
            links=[{"said": sections["links"][link], "path": path} for link, path in request.app[LINKS]],
            path=request.path,
            prefix=prefix(request),
            user=current_user(request),
            csrf=request.get(CSRF, ""),
        )
    )
    return web.Response(text=html, content_type="text/html", status=status)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def texts() -> Mapping[str, Mapping[str, Any]]:
    """All texts of the pages, by page."""
    content: Mapping[str, Mapping[str, Any]] = yaml.safe_load((_HERE / "texts.yaml").read_text(encoding="utf-8"))
    return content
