"""REST endpoints validated by pydantic, and the OpenAPI document generated from them."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from configs.faults import say
from unblur import __version__
from unblur.web.transport.access import Role, require_role
from unblur.web.transport.request_body import read_body

ROOT = "/api/v1"
Given = BaseModel | web.StreamResponse
"""Result of an endpoint's handler: a model is sent as JSON."""
_BODY_METHODS = ("POST", "PUT", "PATCH")
"""Methods whose values are in the body."""
_LONGEST = 1 << 20
"""Largest JSON body in bytes."""
_REFERENCE = "#/components/schemas/{model}"
_ERRORS = {
    400: "what was sent cannot be used",
    401: "sign in first",
    403: "not allowed",
    404: "there is no such thing",
    409: "it looks like a mistake: say that you are sure",
}
_BODY_ERRORS = {408: "it came too slowly", 413: "it is too large"}
_UPLOAD_ERRORS = {
    429: "too many in a minute",
    503: "no place just now",
    507: "the disk is full",
}


class Refusal(BaseModel):
    """Why nothing was done."""

    error: str


class Nothing(BaseModel):
    """No values."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A REST endpoint. `handler` gets the request and a `request_model`, made of the names in the path and of the
    query, or, for POST, PUT and PATCH, of the JSON body. `files` are fields of a multipart body instead, which
    `handler` reads itself. `response_model` is the model of a JSON response, or the content type of another."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    summary: str
    handler: Callable[[web.Request, Any], Awaitable[Given]]
    request_model: type[BaseModel] = Nothing
    response_model: type[BaseModel] | str = Nothing
    role: Role = "viewer"
    files: tuple[str, ...] = ()

    def route(self) -> web.RouteDef:
        """The route. Its requests raise HTTPForbidden for the wrong role, HTTPBadRequest for invalid values."""
        return web.RouteDef(self.method, ROOT + self.path, self._handle, {})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        require_role(request, self.role)
        result = await self.handler(request, await self._parse_request(request))
        return _json(result) if isinstance(result, BaseModel) else result

    async def _parse_request(self, request: web.Request) -> BaseModel:
        has_body = self.method in _BODY_METHODS and not self.files
        values = await _body(request) if has_body else _query(request)
        try:
            return self.request_model.model_validate({**values, **request.match_info})
        except ValidationError as error:
            raise web.HTTPBadRequest(text=explain(error)) from error

    def openapi(self) -> dict[str, object]:
        """The OpenAPI description of this operation."""
        schema = self.request_model.model_json_schema(ref_template=_REFERENCE)
        path_names = set(re.findall(r"{(\w+)}", self.path))
        has_body = self.method in _BODY_METHODS and not self.files
        required = set(schema.get("required", ()))
        parameters = [
            {
                "name": name,
                "in": "path" if name in path_names else "query",
                "required": name in required,
                "schema": value_schema,
            }
            for name, value_schema in schema.get("properties", {}).items()
            if name in path_names or not has_body
        ]
        operation: dict[str, object] = {
            "summary": self.summary,
            "parameters": parameters,
            "responses": self._responses(),
        }
        if self.files:
            operation["requestBody"] = _upload(self.files)
        elif has_body:
            operation["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": _reference(self.request_model)}},
            }
        return operation

    def _responses(self) -> Mapping[str, object]:
        if isinstance(self.response_model, str):
            content: dict[str, object] = {self.response_model: {}}
        else:
            content = {"application/json": {"schema": _reference(self.response_model)}}
        error_content = {"application/json": {"schema": _reference(Refusal)}}
        errors = (
            _ERRORS | (_BODY_ERRORS if self.method in _BODY_METHODS else {}) | (_UPLOAD_ERRORS if self.files else {})
        )
        responses = {str(status): {"description": text, "content": error_content} for status, text in errors.items()}
        return {"200": {"description": self.summary, "content": content}, **responses}


def build_document(operations: Sequence[Endpoint]) -> dict[str, object]:
    """The OpenAPI 3.1 document of these operations."""
    models = {
        model for each in operations for model in (each.request_model, each.response_model) if isinstance(model, type)
    } | {Refusal}
    _, schemas = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda m: m.__name__)], ref_template=_REFERENCE
    )
    paths: dict[str, dict[str, object]] = {}
    for each in operations:
        paths.setdefault(ROOT + each.path, {})[each.method.lower()] = each.openapi()
    return {
        "openapi": "3.1.0",
        "info": {"title": "unblur", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _upload(files: Sequence[str]) -> Mapping[str, object]:
    binary = {"type": "string", "format": "binary"}
    schema = {"type": "object", "properties": dict.fromkeys(files, binary), "required": [files[0]]}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _json(result: BaseModel) -> web.Response:
    return web.Response(text=result.model_dump_json(by_alias=True), content_type="application/json")


def _query(request: web.Request) -> dict[str, object]:
    return {name: value for name, value in request.query.items() if value != ""}


async def _body(request: web.Request) -> dict[str, object]:
    if request.content_type != "application/json":
        raise web.HTTPBadRequest(
            text=f"the content type is application/json, not {request.headers.get(hdrs.CONTENT_TYPE)}"
        )
    try:
        body = json.loads(await read_body(request, _LONGEST))
    except (ValueError, LookupError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is no JSON object")
    return body


def explain(error: ValidationError) -> str:
    """The first fault, without the value, which may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the values'}: {say(first)}"
