"""Commands and configuration have every name, default and value that they had."""

from __future__ import annotations

import json
from typing import Any

from tests.golden.public_names import commands, configuration, missing, without_section_defaults
from tests.golden.running import GOLDEN


def recorded(name: str) -> Any:
    return json.loads((GOLDEN / "public" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_commands_take_what_they_took() -> None:
    assert missing(recorded("commands"), commands()) == []


def test_the_configuration_has_the_keys_it_had() -> None:
    assert missing(without_section_defaults(recorded("configuration")), configuration()) == []


def test_what_is_missing_is_found() -> None:
    before = {"a": [{"b": 1}, 2], "c": {"d": None}}
    assert missing(before, {"a": [2, {"b": 1, "new": 0}], "c": {"d": None}, "e": 1}) == []
    assert missing(before, {"a": [{"b": 2}, 2], "c": {}}) == ["/a: {'b': 1} is gone", "/c/d: gone"]
