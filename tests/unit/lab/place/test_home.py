"""What a home remembers."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from limani.lab.place import home as homes


class Thing(msgspec.Struct):
    """Something to remember."""

    name: str
    seen: dict[str, int] = {}


def test_identity_is_drawn_once(tmp_path: Path) -> None:
    """A home has one id however often and by how many at once it is asked; another home has another."""
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(homes.identity, [tmp_path / "one"] * 8))
    assert len(ids) == 1
    assert re.fullmatch(r"[0-9a-f]{8}", next(iter(ids)))
    assert homes.identity(tmp_path / "two") not in ids
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["id"]


def test_saved_is_loaded(tmp_path: Path) -> None:
    """What was saved is loaded; nothing, or what cannot be read, is None; no part files stay."""
    path = tmp_path / "deep/thing.json"
    assert homes.load(path, Thing) is None
    homes.save(path, Thing("a", {"x": 1}))
    assert homes.load(path, Thing) == Thing("a", {"x": 1})
    path.write_text("{")
    assert homes.load(path, Thing) is None
    assert list(path.parent.iterdir()) == [path]
