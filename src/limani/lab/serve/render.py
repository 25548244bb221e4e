"""A lesson's Markdown as the HTML of the page.

Raw HTML in a lesson stays text. The fences ``step`` and ``file`` become what they name; ``mermaid`` is left out because
the paragraph after it says the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_HEADING_ID = re.compile(r"\s*\{#([a-z][a-z0-9-]*)\}\s*$")


@dataclass(frozen=True)
class Command:
    """A step as the page shows it: the command with its values filled, and what it printed when it was captured."""

    run: str
    output: str = ""
    captured: str = ""  # "21 November 2026, Kubernetes 1.36.1"
    exit: int = 0


@dataclass(frozen=True)
class Words:
    """The texts around commands and files."""

    type_it: str
    type_label: str
    output: str
    exit: str
    file: str


def render(markdown: str, step: Callable[[str], Command], file: Callable[[str], str], words: Words) -> str:
    """``step`` and ``file`` answer for a step's id and for a path under ``files/``; both raise KeyError for others."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.core.ruler.push("heading_ids", _heading_ids)
    parser.core.ruler.push("scrolling", _scrolling)
    parser.core.ruler.push("links", _links)

    def fence(_self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
        kind, body = tokens[index].info.strip(), tokens[index].content
        if kind == "step":
            return _step(body.strip(), step(body.strip()), words)
        if kind == "file":
            return _file(body.strip(), file(body.strip()), words)
        return "" if kind == "mermaid" else _code(body)

    parser.add_render_rule("fence", fence)
    return str(parser.render(markdown))


def _heading_ids(state: StateCore) -> None:
    """``## Title {#id}`` gives the heading that id."""
    for opening, inline in zip(state.tokens, state.tokens[1:], strict=False):
        if opening.type != "heading_open" or not inline.children:
            continue
        last = inline.children[-1]
        if match := _HEADING_ID.search(last.content):
            last.content = last.content[: match.start()]
            opening.attrSet("id", match[1])


def _scrolling(state: StateCore) -> None:
    """Wide tables scroll, so the keyboard must reach them."""
    for token in state.tokens:
        if token.type == "table_open":
            token.attrSet("tabindex", "0")


def _links(state: StateCore) -> None:
    """A link to another server opens beside the lesson, which would lose its terminal otherwise."""
    for inline in state.tokens:
        for token in inline.children or []:
            if token.type == "link_open" and "://" in str(token.attrGet("href")):
                token.attrSet("target", "_blank")
                token.attrSet("rel", "noopener noreferrer")


def _code(text: str) -> str:
    # Code is not prose of the page's language, and what may scroll must be reachable by keyboard.
    return f'<pre tabindex="0"><code translate="no" lang="en">{escape(text)}</code></pre>\n'


def _step(step_id: str, command: Command, words: Words) -> str:
    button = (
        f'<button type="button" class="type" data-command="{escape(command.run)}" '
        f'aria-label="{escape(words.type_label)}: {escape(command.run)}">{escape(words.type_it)}</button>'
    )
    html = f'<div class="step" id="step-{escape(step_id)}"><div class="command">{_code(command.run)}{button}</div>'
    if command.captured:
        summary = words.output.format(captured=command.captured)
        if command.exit:
            summary += ", " + words.exit.format(code=command.exit)
        html += f"<details><summary>{escape(summary)}</summary>{_code(command.output)}</details>"
    return html + "</div>\n"


def _file(path: str, text: str, words: Words) -> str:
    caption = escape(words.file.format(path=path))
    return f'<figure class="file"><figcaption>{caption}</figcaption>{_code(text)}</figure>\n'
