"""The values of a lesson as its page shows them."""

from __future__ import annotations

import re

from limani.lab.lesson import Lesson


def filled(lesson: Lesson, said: str) -> str:
    """Texts and commands with the values a reader of the page would have: names are real, what is random is not."""
    known = {
        "namespace": lesson.id,
        "address": "127.0.0.1",
        "workspace": f"~/.local/state/limani/lab/work/{lesson.id}",
        **{name: name.upper() for name in lesson.values},
    }
    for name, value in known.items():
        said = re.sub(rf"\{{\{{\s*{name}\s*\}}\}}|\{{{name}\}}", value, said)
    return said.strip()
