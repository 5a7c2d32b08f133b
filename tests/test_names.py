"""One name, one thing: no public class is defined twice, and no module's name stands twice in one room."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("benchmarks", "configs", "deblur", "detectors", "models", "recognize", "stream", "unblur")
ALLOWED: dict[str, str] = {}
"""Public classes that may be defined more than once, each with the reason; at most ten."""


def modules() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if path.name != "__init__.py"]


def classes_and_aliases(module: Path) -> set[str]:
    """The public classes of a module, and its aliases of types: names in CamelCase that are assigned."""
    names = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            names |= {name} if name[0].isupper() and not name.isupper() else set()
    return {name for name in names if not name.startswith("_")}


def test_no_public_class_is_defined_twice() -> None:
    places = defaultdict(list)
    for module in modules():
        for name in classes_and_aliases(module):
            places[name].append(str(module.relative_to(ROOT)))
    assert {name: where for name, where in places.items() if len(where) > 1 and name not in ALLOWED} == {}
    assert len(ALLOWED) <= 10


def test_no_module_has_the_name_of_another_of_its_room() -> None:
    places = defaultdict(list)
    for module in modules():
        relative = module.relative_to(ROOT)
        places[relative.parts[0], relative.name].append(str(relative))
    assert {where[0]: where[1:] for where in places.values() if len(where) > 1} == {}
