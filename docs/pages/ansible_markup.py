"""Ansible's markup (``O(name)``, ``M(collection.module)``...) as HTML."""

from __future__ import annotations

from typing import Any, Literal

from antsibull_docs_parser import dom
from antsibull_docs_parser.format import LinkProvider
from antsibull_docs_parser.html import to_html_plain
from antsibull_docs_parser.parser import Context, parse

COLLECTION = "limani.nodes"


class Links(LinkProvider):
    """Leads to pages of this reference; ``base`` is the way from the page to the reference's folder."""

    def __init__(self, base: str) -> None:
        self.base = base

    def plugin_link(self, plugin: dom.PluginIdentifier) -> str | None:
        """The page of a plugin of ours."""
        if not plugin.fqcn.startswith(f"{COLLECTION}."):
            return None
        return f"{self.base}{plugin.type}s/{plugin.fqcn.removeprefix(f'{COLLECTION}.')}.html"

    def plugin_option_like_link(
        self,
        plugin: dom.PluginIdentifier,
        entrypoint: str | None,
        what: Literal["option", "retval"],
        name: list[str],
        current_plugin: bool,
    ) -> str | None:
        """The row of an option on the same page."""
        return f"#option-{'.'.join(name)}" if current_plugin and what == "option" else None


def rendered(said: str, kind: str, name: str, base: str = "../") -> str:
    """One paragraph as inline HTML; ``kind`` and ``name`` are of the plugin whose page it is on."""
    current = dom.PluginIdentifier(f"{COLLECTION}.{name}", kind)
    context = Context(current_plugin=current, role_entrypoint="main" if kind == "role" else None)
    html = to_html_plain(parse(said, context), link_provider=Links(base), current_plugin=current)
    return html.removeprefix("<p>").removesuffix("</p>")


def paragraphs(said: Any, kind: str, name: str) -> str:
    """A description, which is a string or a list of them, as HTML paragraphs."""
    items = [said] if isinstance(said, str) else said
    return "".join(f"<p>{rendered(str(item), kind, name)}</p>" for item in items)
