"""How pages are drawn: templates, texts, and the navigation between them."""

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
"""What a form must bear, so that no other site can send it."""


LINKS: web.AppKey[Sequence[tuple[str, str]]] = web.AppKey("links")
"""The navigation: names of texts and where they lead."""


def render(request: web.Request, name: str, /, status: int = 200, **values: object) -> web.Response:
    """The page `name`: its template with `values`, its section of the texts as `text`, and who asks as `user`."""
    every = texts()
    drawn = (
        _templates()
        .get_template(f"{name}.html")
        .render(
            **values,
            text=every[name],
            common=every["common"],
            links=[{"said": every["links"][link], "path": path} for link, path in request.app[LINKS]],
            path=request.path,
            prefix=prefix(request),
            user=current_user(request),
            csrf=request.get(CSRF, ""),
        )
    )
    return web.Response(text=drawn, content_type="text/html", status=status)


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
    """Everything that the pages say, by page."""
    loaded: Mapping[str, Mapping[str, Any]] = yaml.safe_load((_HERE / "texts.yaml").read_text(encoding="utf-8"))
    return loaded
