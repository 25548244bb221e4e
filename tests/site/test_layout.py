"""How the site looks: pictures of it, kept in .make/screenshots."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.site.conftest import ROOT
from tests.site.visitor import DESKTOP, PHONE, Visitor

pytestmark = pytest.mark.site
PICTURES = ROOT / ".make" / "screenshots"
SHOWN = ["index.html", "start.html", "lessons/index.html", "lessons/first-success.html", "glossary.html"]


@pytest.mark.parametrize(("device", "viewport", "scheme"), [("desktop", DESKTOP, "light"), ("phone", PHONE, "dark")])
def test_pictures(browser: Browser, site: Path, device: str, viewport: dict[str, int], scheme: str) -> None:
    """Every kind of page can be photographed in both languages; its title is in the picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    visitor = Visitor(browser, site, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    for lang, top in (("en", "/"), ("el", "/el/")):
        for name in SHOWN:
            visitor.visit(f"{top}{name}")
            title = visitor.page.locator("article h1").bounding_box()
            assert title
            assert title["y"] + title["height"] < viewport["height"]
            picture = f"{name.removesuffix('.html').replace('/', '-')}-{lang}-{device}-{scheme}.png"
            visitor.page.screenshot(path=PICTURES / picture)
    visitor.close()
