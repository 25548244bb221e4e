"""mkdocs hook: the first time a page uses a word of the glossary it leads there, with the meaning as a tooltip."""

from __future__ import annotations

import functools
import html
import posixpath
import re
from typing import Any

from docs import glossary

TAG = re.compile(r"(<[^>]*>)")
NAME = re.compile(r"</?([a-zA-Z0-9]+)")
# Text in these is left alone: links, code, headings, summaries, and what is no text.
CLOSED = {"a", "abbr", "code", "pre", "kbd", "h1", "h2", "h3", "h4", "h5", "h6", "summary", "th", "svg"}


@functools.cache
def known(lang: str) -> tuple[re.Pattern[str], dict[str, glossary.Term]]:
    """One pattern for all words of a language, the longest first, and the terms by word."""
    words = {form.casefold(): term for term in glossary.terms() if term.tooltip for form in term.forms(lang)}
    longest = sorted(words, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])", re.IGNORECASE), words


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Called by mkdocs with a page's HTML."""
    lang = page.file.locale
    name = page.file.norm_src_uri
    if name == "glossary.md" or name.startswith("reference/"):
        return content
    way = posixpath.relpath("glossary.html", posixpath.dirname(name) or ".")
    return linked(content, lang, way)


def linked(content: str, lang: str, way: str) -> str:
    """HTML with the first use of each word made a link to the glossary, which is at ``way``."""
    pattern, words = known(lang)
    if not words:
        return content
    seen: set[str] = set()
    closed: list[str] = []

    def link(found: re.Match[str]) -> str:
        term = words[found[0].casefold()]
        if term.id in seen or (term.exact and found[0][0].islower()):
            return found[0]
        seen.add(term.id)
        title = html.escape(term.definition(lang))
        return f'<a class="term" href="{way}#{term.id}" title="{title}">{found[0]}</a>'

    parts = TAG.split(content)
    for position, part in enumerate(parts):
        if part.startswith("<"):
            tag = NAME.match(part)
            if tag is None or tag[1] not in CLOSED:
                continue
            if part.startswith("</"):
                closed.pop()
            elif not part.endswith("/>"):
                closed.append(tag[1])
        elif not closed:
            parts[position] = pattern.sub(link, part)
    return "".join(parts)
