"""What the documentation of a module promises, and whether a result keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
TYPES = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}

BY_NAME = ("nodes", "images")
"""Dictionaries that are tables by the name of a node or image, not records."""


def module(name: str) -> Any:
    """The module's file, imported (needs the fixture ``importable``)."""
    return import_module(f"ansible_collections.limani.nodes.plugins.modules.{name}")


def block(name: str, what: str) -> Any:
    """DOCUMENTATION, EXAMPLES or RETURN of a module, parsed."""
    return yaml.safe_load(getattr(module(name), what))


def breaches(
    promised: dict[str, Any], result: dict[str, Any], where: str = "", always: str = "always"
) -> Iterator[str]:
    """How a result differs from RETURN: keys that are not documented, missing or of another type.

    ``always``: the value of ``returned`` under which a key must be there; deeper down that is always "always".
    """
    for key in result.keys() - promised.keys():
        yield f"{where}{key} is not documented"
    for key, entry in promised.items():
        if key not in result:
            if entry["returned"] in ("always", always):
                yield f"{where}{key} is missing"
            continue
        yield from _value(entry, result[key], f"{where}{key}")


def _value(entry: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    expected = TYPES[entry["type"]]
    if not isinstance(value, expected) or (entry["type"] == "int" and isinstance(value, bool)):
        yield f"{where} is {value!r}, not {entry['type']}"
        return
    inside = entry.get("contains")
    if not inside:
        return
    if entry["type"] == "list":
        for number, item in enumerate(value):
            yield from breaches(inside, item, f"{where}[{number}].")
    elif where.rpartition(".")[2] in BY_NAME:
        for name, item in value.items():
            yield from breaches(inside, item, f"{where}.{name}.")
    else:
        yield from breaches(inside, value, f"{where}.")
