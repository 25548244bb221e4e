"""What holds for every page, in both languages, light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from docs import npm
from tests.site.conftest import paths

pytestmark = [pytest.mark.site, pytest.mark.timeout(600)]
SCHEMES = {"light": "default", "dark": "slate"}
RUN = """async () => (await axe.run(document, {
    resultTypes: ['violations'],
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
})).violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 160)}`))"""


def test_accessible_and_asking_nobody_else(browser: Browser, address: str, site: Path) -> None:
    """axe finds nothing on any page, light or dark, and no page asks another machine for anything or logs an error."""
    axe = npm.file(npm.AXE, "axe.min.js").decode()
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.add_init_script(axe)
    asked: set[str] = set()
    errors: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.add(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    findings: dict[str, Any] = {}
    for path in paths(site):
        page.emulate_media(color_scheme="light")
        page.goto(address + path, wait_until="load")
        for scheme in ("light", "dark"):  # the theme follows at once
            page.emulate_media(color_scheme=scheme)
            assert page.locator("body").get_attribute("data-md-color-scheme") == SCHEMES[scheme]
            if found := page.evaluate(RUN):
                findings[f"{path} {scheme}"] = found
    context.close()
    assert findings == {}
    assert errors == []
    assert {url for url in asked if not url.startswith(address)} == set()


def test_language_and_its_switch(browser: Browser, address: str, site: Path) -> None:
    """Each page says which language it is in, and its switch leads to the same page in the other one."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for path in paths(site):
        greek = path.startswith("/el/")
        page.goto(address + path, wait_until="domcontentloaded")
        assert page.locator("html").get_attribute("lang") == ("el" if greek else "en"), path
        if path == "/404.html":
            continue
        switch = page.locator("a.language-link")
        other = urlsplit(urljoin(address + path, switch.get_attribute("href") or "")).path
        assert other == (path.removeprefix("/el") if greek else f"/el{path}"), path
    context.close()


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
def test_skip_link_and_keyboard(page: Page, address: str, language: str) -> None:
    """The first Tab stop skips to the content; search and language switch come within the next few."""
    page.goto(f"{address}/{'el/' if language == 'el' else ''}start.html")
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.className + ' ' + document.activeElement.id"))
    assert seen[0].startswith("md-skip")
    assert any("finder-open" in name for name in seen)
    assert any("language-link" in name for name in seen)
