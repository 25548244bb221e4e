"""Texts of the generated pages in both languages, from ``texts.yml``."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml

LANGUAGES = ("en", "el")


@functools.cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every text by key and language."""
    found: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("texts.yml").read_text(encoding="utf-8"))
    return found


def text(lang: str, key: str, **values: object) -> str:
    """A text with its values filled in. KeyError if it, or its translation, is missing."""
    return catalogue()[key][lang].strip().format(**values)
