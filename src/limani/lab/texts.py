"""Messages in the learner's language, by id.

The catalogue of a language is ``texts/en.yml`` together with all ``texts/en-*.yml`` (``el`` likewise): flat maps from
id to a sentence with ``{placeholders}``. A test holds that all languages have the same ids and placeholders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from limani import errors
from limani.errors import BadInput, LimaniError
from limani.lab.lesson import LANGUAGES
from limani.lab.record import Text

FOLDER = Path(__file__).resolve().parent / "texts"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PLACEHOLDER = re.compile(r"(?<!\{)\{([a-z][a-z0-9_]*)\}(?!\})")


def language(wanted: str | None = None, environment: Mapping[str, str] = os.environ) -> str:
    """``wanted``, else LIMANI_LANG, else el where the system's language is Greek, else en."""
    chosen = wanted or environment.get("LIMANI_LANG")
    if chosen:
        if chosen not in LANGUAGES:
            raise BadInput(f"The language {chosen!r} is not among {', '.join(LANGUAGES)}.", language=chosen)
        return chosen
    system = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "el" if system.startswith("el") else "en"


@cache
def catalogue(lang: str) -> Mapping[str, str]:
    """All messages of a language. Raises ValueError where two files have the same id."""
    messages: dict[str, str] = {}
    for path in [FOLDER / f"{lang}.yml", *sorted(FOLDER.glob(f"{lang}-*.yml"))]:
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) or {}  # noqa: S506 - a safe one
        if twice := messages.keys() & loaded.keys():
            raise ValueError(f"{path}: {', '.join(sorted(twice))} is already in another file")
        messages |= loaded
    return messages


def render(text: Text, lang: str) -> str:
    """The message in ``lang`` with its values. Raises KeyError for an unknown id or a placeholder without a value."""
    return fill(catalogue(lang)[text.id], text.values, lang)


def say(lang: str, message: str, **values: Any) -> str:
    """``render`` for a message that is only said."""
    return render(Text(message, values), lang)


def fill(pattern: str, values: Mapping[str, Any], lang: str) -> str:
    """``pattern`` with its ``{placeholders}`` filled; all other braces stay as they are."""
    return PLACEHOLDER.sub(lambda match: shown(values[match[1]], lang), pattern)


def shown(value: Any, lang: str) -> str:
    """A value as people of that language write it."""
    if isinstance(value, Text):
        return render(value, lang)
    if isinstance(value, float):
        number = f"{value:.1f}"
        return number.replace(".", ",") if lang == "el" else number
    return str(value)


def explained(error: LimaniError, lang: str) -> tuple[str, str] | None:
    """An error's kind and what to do, in ``lang``; None where there are only its own, English words."""
    known = _errors().get(error.code) if lang == "el" else None
    return (known["meaning"].replace("`", ""), known["hint"].replace("`", "")) if known else None


@cache
def _errors() -> dict[str, dict[str, str]]:
    path = Path(errors.__file__).with_name("errors.el.yml")
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
