"""The names that scripts rely on, as plain JSON values: the commands, the configuration's keys, the REST API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from unblur.cli import app

_SCHEMA = Path(__file__).parents[2] / "configs" / "unblur.schema.json"
_WORDING = ("title", "description", "summary", "operationId", "examples", "deprecated")
"""What a reader reads; a rename may change it."""


def commands() -> dict[str, Any]:
    """Each command's arguments and options with their defaults."""
    return {name: _parameters(command) for name, command in _commands(typer.main.get_command(app), "unblur")}


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for part, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{name} {part}")
    if not getattr(command, "commands", None):
        yield name, command


def _parameters(command: Any) -> dict[str, Any]:
    return {
        " ".join(sorted(part for part in (*each.opts, *each.secondary_opts) if part.startswith("--"))) or "argument": {
            "default": json.loads(json.dumps(each.default, default=str)),
            "required": each.required,
            "many": each.nargs == -1 or each.multiple,
        }
        for each in command.params
    }


def configuration() -> Any:
    """The schema of the configuration, as it is committed."""
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    return without_section_defaults(_without_wording(schema["properties"], schema["$defs"]))


def without_section_defaults(value: Any) -> Any:
    """Without the default of a whole section, which only repeats its keys' defaults: it has the new names of keys that
    are also read under their old ones."""
    if not isinstance(value, dict):
        return value
    return {
        key: without_section_defaults(each)
        for key, each in value.items()
        if key != "default" or not isinstance(each, dict)
    }


def rest_api(openapi: dict[str, Any]) -> dict[str, Any]:
    """Paths, methods, parameters, JSON keys, enum values and status codes of an OpenAPI document."""
    components = openapi.get("components", {}).get("schemas", {})
    return {path: _without_wording(content, components) for path, content in openapi["paths"].items()}


def _without_wording(value: Any, components: dict[str, Any]) -> Any:
    """The value without texts, and with each component in the place where it is referred to. `properties` and the like
    hold names that may be called `title`."""
    if isinstance(value, list):
        return [_without_wording(each, components) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _without_wording(components[value["$ref"].rpartition("/")[2]], components)
    return {
        key: {name: _without_wording(part, components) for name, part in each.items()}
        if key == "properties"
        else _without_wording(each, components)
        for key, each in value.items()
        if key not in (*_WORDING, "$defs") or (key == "description" and not isinstance(each, str))
    }


def missing(recorded: Any, present: Any, where: str = "") -> list[str]:
    """What was recorded and is not there any more, or is another value. What was added is not looked at."""
    if isinstance(recorded, dict) and isinstance(present, dict):
        gone = [f"{where}/{key}: gone" for key in recorded.keys() - present.keys()]
        kept = recorded.keys() & present.keys()
        return gone + [each for key in sorted(kept) for each in missing(recorded[key], present[key], f"{where}/{key}")]
    if isinstance(recorded, list) and isinstance(present, list):
        return [f"{where}: {each} is gone" for each in recorded if not any(not missing(each, new) for new in present)]
    return [] if recorded == present else [f"{where}: {recorded} has become {present}"]
