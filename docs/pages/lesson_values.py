"""The values of a lesson as its page shows them: those of the captured outputs."""

from __future__ import annotations

import re

from limani.lab import actions, page
from limani.lab.lesson import Lesson

BRACES = re.compile(r"(?<!\{)\{([a-z][a-z0-9_]*)\}(?!\})")


def filled(lesson: Lesson, text: str) -> str:
    """A command, a file or the text of a page with its ``{{ values }}``."""
    return actions.fill(text, page.example_values(lesson))


def said(lesson: Lesson, text: str) -> str:
    """A text of ``en.yml`` or ``el.yml``, where values stand in single braces."""
    values = page.example_values(lesson)
    return BRACES.sub(lambda found: values.get(found[1], found[0]), filled(lesson, text)).strip()
