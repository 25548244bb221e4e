"""reference/errors.md, from ``limani.errors``."""

from __future__ import annotations

import inspect

from docs.pages.markup import cell, english
from docs.texts import text
from limani import errors


def page(lang: str) -> str:
    """Every error: its code, what it means, what to do, and the HTTP status of an agent's answer."""
    head = [text(lang, f"errors.{key}") for key in ("code", "meaning", "hint", "status")]
    lines = [
        f"# {text(lang, 'errors.title')} {{#errors}}\n",
        text(lang, "errors.intro") + "\n",
        f"| {' | '.join(head)} |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{e.code}` | {english(lang, meaning(e))} | {english(lang, cell(e.default_hint))} | {e.status} |"
        for e in error_classes()
    ]
    return "\n".join(lines) + "\n"


def error_classes() -> list[type[errors.LimaniError]]:
    """All error classes in the order of the source."""
    found = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.LimaniError)]
    return sorted(found, key=lambda c: inspect.getsourcelines(c)[1])


def meaning(error: type[errors.LimaniError]) -> str:
    """The first paragraph of the class's docstring."""
    if error is errors.LimaniError:
        return "A mistake in Limani itself."
    return cell(inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].replace("\n", " "))
