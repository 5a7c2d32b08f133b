"""What a form sent."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web

from unblur.web.body import read_body

TYPE = "application/x-www-form-urlencoded"
_FIELDS = 100
_LONGEST = 1 << 20
"""Bytes of a form."""


async def filled_in(request: web.Request, longest: int = _LONGEST) -> Mapping[str, str]:
    """A form's fields, in UTF-8 as our pages are; none of another content type. Raises HTTPBadRequest,
    HTTPRequestTimeout, and HTTPRequestEntityTooLarge for a form of more bytes than `longest`."""
    if request.content_type != TYPE:
        return {}
    body = await read_body(request, longest)
    try:
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"the form cannot be read: {error}") from error
