"""Small pieces of Markdown and HTML."""

from __future__ import annotations

import html
import re


def cell(text: str) -> str:
    """Text that may stand in a Markdown table."""
    return text.replace("|", "\\|").replace("``", "`").replace("<", "&lt;")


def english(lang: str, text: str) -> str:
    """Inline text that is English on a page of any language: readers and hyphenation have to know."""
    return text if lang == "en" or not text else f'<span lang="en">{text}</span>'


def english_block(lang: str, text: str) -> str:
    """The same for whole blocks."""
    return text if lang == "en" else f'<div lang="en" markdown="1">\n\n{text}\n\n</div>'


def escape(text: str) -> str:
    """Text for HTML."""
    return html.escape(text, quote=False)


def fence(language: str, text: str, *classes: str, title: str = "") -> str:
    """A code block, its fence longer than any in it. ``title`` is shown above it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    marks = "`" * (longest + 1)
    attributes = " ".join([f".{language}", *(f".{name}" for name in classes), *([f'title="{title}"'] if title else [])])
    return f"{marks} {{ {attributes} }}\n{text.rstrip()}\n{marks}\n"


def slug(text: str) -> str:
    """An anchor made of an English term."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
