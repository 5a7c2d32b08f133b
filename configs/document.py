"""Reads YAML files within bounds of size, depth and aliases; repeated keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.events import AliasEvent, Event, NodeEvent
from yaml.nodes import MappingNode, Node, ScalarNode

LARGEST = 1 << 20
"""Bytes of a file."""
DEEPEST = 50
"""Lists and mappings within each other."""
MOST_VALUES = 20_000
"""Values, where whatever an alias stands for counts each time: a few lines of aliases may stand for billions."""
_MERGE = "tag:yaml.org,2002:merge"


class DocumentError(ValueError):
    """The text is no document that can be used; one line says why and where, and quotes no value."""


def read_document(path: Path) -> object:
    """The content of a YAML file; None where it is empty. Raises OSError, DocumentError."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise DocumentError(f"it is larger than {LARGEST >> 20} MiB")
    try:
        return parse_document(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"byte {error.start} is not UTF-8") from error


def parse_document(text: str) -> object:
    """The content of YAML. Raises DocumentError."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        where = f" (line {place.line + 1}, column {place.column + 1})" if place else ""
        raise DocumentError(f"{error.problem or error.context}{where}") from error
    except yaml.YAMLError as error:
        raise DocumentError(" ".join(str(error).split())) from error
    except (ValueError, OverflowError) as error:  # a date in month 13, a number of 5000 digits
        raise DocumentError(" ".join(str(error).split())) from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader within bounds: it would follow 5,000 brackets into a RecursionError."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values: dict[int, int] = {}
        self._total = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Event = self.peek_event()  # type: ignore[no-untyped-call]
        self._refuse_tag(event)
        before, self._depth = self._total, self._depth + 1
        if self._depth > DEEPEST:
            raise _fault(f"more than {DEEPEST} lists and keys within each other", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, AliasEvent):
            self._total += self._size(node, event)
        else:
            self._total += 1
            self._values[id(node)] = self._total - before
        if self._total > MOST_VALUES:
            raise _fault(f"more than {MOST_VALUES:,} values, with what aliases stand for", event)
        return node

    def _size(self, node: Node | None, event: Event) -> int:
        if id(node) not in self._values:
            raise _fault("an alias stands within what it stands for", event)
        return self._values[id(node)]

    def _refuse_tag(self, event: Event) -> None:
        tag = getattr(event, "tag", None) if isinstance(event, NodeEvent) else None
        if tag not in (None, "!"):
            raise _fault("tags (!) mean nothing here", event)

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and key.tag != _MERGE:
                if (key.tag, key.value) in seen:
                    raise _fault(f"the key {key.value!r} stands there twice", key)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def _fault(problem: str, place: Event | Node) -> DocumentError:
    mark = place.start_mark
    return DocumentError(f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else problem)
