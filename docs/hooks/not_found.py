"""mkdocs hook: one page for what is not there, in English; each language would overwrite the one before."""

from __future__ import annotations

from typing import Any


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """Called by mkdocs with each template's HTML; an empty one is not written."""
    return "" if template_name == "404.html" and config.theme["language"] != "en" else output_content
