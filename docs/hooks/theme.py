"""mkdocs hooks for what the theme does not do right in a site of two languages."""

from __future__ import annotations

import re
from typing import Any

ALTERNATE = re.compile(r'\s*<link rel="alternate"[^>]*hreflang[^>]*>')


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """The page for what is not there is English; the next language would overwrite it. An empty one is not written."""
    if template_name == "404.html" and config.theme["language"] != "en":
        return ""
    return ALTERNATE.sub("", output_content)


def on_post_page(output: str, **_: Any) -> str:
    """The theme's script asks for a site map next to every alternate. There is none, nor does our link need one."""
    return ALTERNATE.sub("", output)
