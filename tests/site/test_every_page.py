"""What holds for every page, in both languages, light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.site.axe import FINDINGS
from tests.site.conftest import paths
from tests.site.visitor import DESKTOP, ORIGIN, PHONE, Visitor

pytestmark = [pytest.mark.site, pytest.mark.timeout(600)]
LOOKS = [("light", "default", DESKTOP), ("dark", "slate", PHONE)]
WIDER = """() => [...document.querySelectorAll('body *')].filter(e => {
    const box = e.getBoundingClientRect()
    return box.width && box.right > innerWidth + 1 && !e.closest('pre, dialog, .md-sidebar, .md-typeset__scrollwrap')
}).map(e => e.outerHTML.slice(0, 120)).slice(0, 3)"""


@pytest.mark.parametrize(("scheme", "name", "viewport"), LOOKS, ids=["light on a desktop", "dark on a phone"])
def test_accessible_and_asking_nobody_else(
    browser: Browser, axe: str, site: Path, scheme: str, name: str, viewport: dict[str, int]
) -> None:
    """axe finds nothing on any page; none asks another machine for anything, logs an error or scrolls sideways."""
    findings: dict[str, Any] = {}
    visitor = Visitor(browser, site, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    visitor.context.add_init_script(axe)
    for path in paths(site):
        visitor.visit(path)
        assert visitor.page.locator("body").get_attribute("data-md-color-scheme") == name
        found = visitor.page.evaluate(FINDINGS)
        if visitor.page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
            found += ["wider than the screen", *visitor.page.evaluate(WIDER)]
        if found:
            findings[path] = found
    visitor.close()
    assert findings == {}
    assert visitor.outside == set()
    assert visitor.errors == []


def test_language_and_its_switch(site: Path) -> None:
    """Each page says which language it is in, and its switch leads to the same page in the other one."""
    for path in paths(site):
        text = (site / path[1:]).read_text(encoding="utf-8")
        greek = path.startswith("/el/")
        assert re.findall(r"<html[^>]* lang=\"?(\w+)", text) == ["el" if greek else "en"], path
        if path != "/404.html":
            switch = re.findall(r'<a class="language-link" href="([^"]*)"', text)
            assert [urljoin(path, link) for link in switch] == [path.removeprefix("/el") if greek else f"/el{path}"], (
                path
            )


def test_every_link_leads_somewhere(site: Path) -> None:
    """No link of a built page, those in generated HTML included, leads to a file or anchor that is not there."""
    targets: dict[str, set[str]] = {}
    for path in paths(site):
        text = (site / path[1:]).read_text(encoding="utf-8")
        targets[path] = set(re.findall(r'\sid="?([^"\s>]+)', text))
    wrong = []
    for path in targets:
        text = (site / path[1:]).read_text(encoding="utf-8")
        for link in re.findall(r'<(?:a|link|script|img)\s[^>]*?(?:href|src)=[\'"]?([^\s\'">]*)', text):
            if urlsplit(link).scheme or link.startswith("//") or path == "/404.html":
                continue
            whole, anchor = urldefrag(urljoin(path, link))
            whole = f"{whole}index.html" if whole.endswith("/") else whole
            if not (site / whole[1:]).is_file() or (
                anchor and not anchor.startswith("__") and anchor not in targets[whole]
            ):
                wrong.append(f"{path}: {link}")
    assert wrong == []


@pytest.mark.parametrize("language", ["en", "el"])
def test_skip_link_and_keyboard(page: Page, language: str) -> None:
    """The first Tab stop skips to the content; search and language switch come within the next few."""
    page.goto(f"{ORIGIN}/{'el/' if language == 'el' else ''}start.html")
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.className + ' ' + document.activeElement.id"))
    assert seen[0].startswith("md-skip")
    assert any("finder-open" in name for name in seen)
    assert any("language-link" in name for name in seen)
