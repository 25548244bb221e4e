"""reference/errors.md, from ``limani.errors``; its Greek from ``errors.el.yml``."""

from __future__ import annotations

import functools
import hashlib
import inspect
from pathlib import Path

import yaml

from docs.pages.markup import cell, english
from docs.texts import text
from limani import errors

GREEK = Path(errors.__file__).with_name("errors.el.yml")


def page(lang: str) -> str:
    """Every error: its code, what it means, what to do, and the HTTP status of an agent's answer."""
    head = [text(lang, f"errors.{key}") for key in ("code", "meaning", "hint", "status")]
    lines = [
        f"# {text(lang, 'errors.title')} {{#errors}}\n",
        text(lang, "errors.intro") + "\n",
        f"| {' | '.join(head)} |",
        "|---|---|---|---|",
    ]
    for error in error_classes():
        means, hint = meaning(error), cell(error.default_hint)
        if lang == "el":
            means, hint = greek(error) or (english(lang, means), english(lang, hint))
        lines.append(f"| `{error.code}` | {means} | {hint} | {error.status} |")
    return "\n".join(lines) + "\n"


@functools.cache
def translations() -> dict[str, dict[str, str]]:
    """What the Greek page says, by code."""
    found: dict[str, dict[str, str]] = yaml.safe_load(GREEK.read_text(encoding="utf-8"))
    return found


def greek(error: type[errors.LimaniError]) -> tuple[str, str] | None:
    """Meaning and hint of an error in Greek; None if there are none, or the English ones have changed since."""
    found = translations().get(error.code)
    if found is None or found["of"] != source(error):
        return None
    return cell(found["meaning"]), cell(found["hint"])


def source(error: type[errors.LimaniError]) -> str:
    """A hash of the English meaning and hint."""
    return hashlib.sha256(f"{meaning(error)}\n{error.default_hint}".encode()).hexdigest()[:8]


def error_classes() -> list[type[errors.LimaniError]]:
    """All error classes in the order of the source."""
    found = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.LimaniError)]
    return sorted(found, key=lambda c: inspect.getsourcelines(c)[1])


def meaning(error: type[errors.LimaniError]) -> str:
    """The first paragraph of the class's docstring."""
    if error is errors.LimaniError:
        return "A mistake in Limani itself."
    return cell(inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].replace("\n", " "))
