"""Lessons that tests may spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

TOYS = Path(__file__).parents[2] / "data" / "labs"


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of lessons of one's own, with the toys in it; the library looks there."""
    path = tmp_path / "labs"
    shutil.copytree(TOYS, path)
    monkeypatch.setenv("LIMANI_LABS", str(path))
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a lab."""
    path = tmp_path / "home"
    monkeypatch.setenv("LIMANI_LAB_HOME", str(path))
    return path
