"""Loads a configuration: YAML, environment variables and command-line options become one `Config`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import structlog
from pydantic import ValidationError

from configs.document import DocumentError, read_document
from configs.errors import ConfigError
from configs.faults import say
from configs.schema import Config

_log = structlog.get_logger(__name__)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<user>[^/?#]*@)?[^?#]*(?P<query>\?[^#]*)?")

_IN_USER, _IN_QUERY = "!$&'()*+,;=:", "!$'()*,;:"
"""Characters that need no encoding there, besides letters and digits (RFC 3986, 3.2.1 and 3.4)."""


def load(path: Path | None, overrides: Mapping[str, object]) -> Config:
    """A YAML file (or nothing), with `overrides` from the command line laid over it key by key. Raises ConfigError."""
    origin = str(path) if path else "command line"
    content = _filled_in(read_yaml(path, "configuration"), origin) if path else {}
    if not isinstance(content, dict):
        raise ConfigError(f"{origin} holds no keys: see default.yaml for what can be set")
    settings = _rename_old(_laid_over(content, overrides), origin)
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_explain(error)}") from error


def _rename_old(settings: dict[str, object], origin: str) -> dict[str, object]:
    """Names of the last release, which are read for one more, become the present ones; each with a warning."""
    deblur = settings.get("deblur")
    if not isinstance(deblur, dict):
        return settings
    renamed = dict(deblur)
    if "looks" in renamed:
        renamed = {"passes": renamed.pop("looks"), **renamed}
        _warn_of_old(origin, "deblur.looks", "deblur.passes")
    if renamed.get("preset") == "seed":
        renamed["preset"] = "box5"
        _warn_of_old(origin, "the preset seed", "box5")
    return {**settings, "deblur": renamed}


def _warn_of_old(origin: str, old: str, new: str) -> None:
    _log.warning("an old name in the configuration: the next release will not read it", file=origin, old=old, new=new)


def read_yaml(path: Path, what: str) -> object:
    """The content of the YAML file of a `what`; no keys where it is empty. Raises ConfigError."""
    try:
        content = read_document(path.expanduser())
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from error
    except DocumentError as error:
        raise ConfigError(f"{path} is not YAML that can be used: {error}") from error
    return {} if content is None else content


def _laid_over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _filled_in(value: object, origin: str) -> object:
    match value:
        case str():
            return _VARIABLE.sub(lambda found: _put_in(value, found, origin), value)
        case dict():
            return {key: _filled_in(inner, origin) for key, inner in value.items()}
        case list():
            return [_filled_in(inner, origin) for inner in value]
        case _:
            return value


def _put_in(template: str, found: re.Match[str], origin: str) -> str:
    """The environment variable that is found in the template, in a form that means the same there."""
    value, literal = _environment(found[1], origin), _literal_there(template, found)
    return value if literal is None or _is_encoded(value, literal) else quote(value, safe=literal)


def _literal_there(template: str, found: re.Match[str]) -> str | None:
    """What needs no encoding where the variable stands; None outside the user and the query of an address."""
    address = _ADDRESS.match(template)
    if address is None:
        return None
    if found.end() <= address.end("user"):
        return _IN_USER
    is_value = template[: found.start()].endswith("=") and template[found.end() : found.end() + 1] in ("", "&", "#")
    return _IN_QUERY if is_value and address.start("query") < found.start() < address.end("query") else None


def _is_encoded(value: str, literal: str) -> bool:
    return "%" in value and bool(re.fullmatch(rf"(?:[\w.~{re.escape(literal)}-]|%[0-9A-Fa-f]{{2}})*", value, re.ASCII))


def _environment(name: str, origin: str) -> str:
    if name not in os.environ:
        raise ConfigError(f"{origin}: the environment variable {name} is not set")
    return os.environ[name]


def _explain(error: ValidationError) -> str:
    """The first fault, without the offending value, which may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    what = say(first)
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where or 'the file'}: {what}{more}"
