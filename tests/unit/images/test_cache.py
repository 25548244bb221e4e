"""Names of cached results follow their inputs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from images import cache


def test_key_follows_contents_and_names(tmp_path: Path) -> None:
    """The key changes with a file's content, its name and a text, and with nothing else."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "a").write_text("1")
    first = cache.key("x", folder)
    assert cache.key("x", folder) == first
    assert cache.key("y", folder) != first
    (folder / "a").write_text("2")
    changed = cache.key("x", folder)
    (folder / "a").rename(folder / "b")
    assert len({first, changed, cache.key("x", folder)}) == 3


def test_key_keeps_parts_apart() -> None:
    """Moving a letter from one text to the next gives another key."""
    assert cache.key("ab", "c") != cache.key("a", "bc")


def test_key_leaves_out_what_is_generated(tmp_path: Path) -> None:
    """Compiled modules and generated messages are results, not inputs."""
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "_pb").mkdir()
    before = cache.key(tmp_path)
    (tmp_path / "__pycache__/m.cpython-311.pyc").write_text("x")
    (tmp_path / "_pb/content_pb2.py").write_text("x")
    assert cache.key(tmp_path) == before


def test_forget_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only results of the same kind that nobody has used lately go, files and folders."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache.folder()
    for name in ("agent-1.tar", "agent-2.tar", "agent-new.tar", "demo-1.tar"):
        (folder / name).touch()
    (folder / "agent-3.tar").mkdir()
    old = time.time() - 2 * cache.UNUSED_S
    for name in ("agent-1.tar", "agent-2.tar", "agent-3.tar", "demo-1.tar"):
        os.utime(folder / name, (old, old))
    cache.forget_older("agent-*.tar", folder / "agent-2.tar")
    assert sorted(path.name for path in folder.iterdir()) == ["agent-2.tar", "agent-new.tar", "demo-1.tar"]


def test_what_is_found_counts_as_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result another checkout has just found survives the next build here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept, target = cache.folder() / "agent-1.tar", cache.folder() / "agent-2.tar"
    assert not cache.found(kept)
    kept.touch()
    os.utime(kept, (0, 0))
    assert cache.found(kept)
    cache.forget_older("agent-*.tar", target)
    assert kept.exists()
