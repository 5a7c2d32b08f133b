"""Plain words for what pydantic finds wrong in a configuration."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import ErrorDetails

_SAID: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "string_type": "must be text: put it in quotes",
    "string_too_short": "must have at least {min_length} letters",
    "string_too_long": "must have at most {max_length} letters",
    "string_pattern_mismatch": "holds a letter that may not be there: it must match {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number with fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be one of {expected}",
    "tuple_type": 'must be a list: start each entry with "- "',
    "list_type": 'must be a list: start each entry with "- "',
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "model_type": "must hold keys, one a line",
    "model_attributes_type": "must hold keys, one a line",
    "dict_type": "must hold keys, one a line",
    "path_type": "must be the path of a file or folder, as text",
    "timezone_aware": "needs a timezone, as in 2026-01-31T18:00:00Z",
    "datetime_type": "must be a time, as in 2026-01-31T18:00:00Z",
    "datetime_parsing": "must be a time, as in 2026-01-31T18:00:00Z",
    "datetime_from_date_parsing": "must be a time, as in 2026-01-31T18:00:00Z",
    "datetime_object_invalid": "must be a time, as in 2026-01-31T18:00:00Z",
}


def say(fault: ErrorDetails) -> str:
    """One fault without the value at fault, which may be a secret."""
    template = _SAID.get(fault["type"])
    if template is None:
        return fault["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return template.format(**fault.get("ctx", {}))
