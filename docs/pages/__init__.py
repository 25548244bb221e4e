"""Pages of the site that are made from code and data, in both languages, when the site is built."""

from __future__ import annotations

from docs import glossary
from docs.pages import benchmarks, commands, errors, lessons, modules


def generated(lang: str) -> dict[str, str]:
    """All generated pages in a language: path below ``docs/en`` or ``docs/el``, and Markdown."""
    return {
        "reference/errors.md": errors.page(lang),
        "reference/command-line.md": commands.page(lang),
        "glossary.md": glossary.page(lang),
        **benchmarks.pages(lang),
        **modules.pages(lang),
        **lessons.pages(lang),
    }
