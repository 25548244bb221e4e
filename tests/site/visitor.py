"""Somebody who looks at the site with a browser, and a note of all that the browser asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, Page, Route

ORIGIN = "http://limani.test"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


class Visitor:
    """A tab with its own storage. Requests are answered from the site's files, those to others refused and noted.

    No network is used: a browser drops its requests whenever the machine gets another interface, as it does when
    other tests start clusters.
    """

    def __init__(self, browser: Browser, site: Path, **options: Any) -> None:
        self.site = site
        self.outside: set[str] = set()
        self.errors: list[str] = []
        self.context = browser.new_context(**{"viewport": DESKTOP, **options})
        self.context.set_default_timeout(15_000)
        self.context.route("**/*", self._answer)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def visit(self, path: str) -> None:
        """Go to a page, given by its path from the root."""
        self.page.goto(f"{ORIGIN}{path}", wait_until="load")

    def close(self) -> None:
        """Close the tab."""
        self.context.close()

    def _answer(self, route: Route) -> None:
        url = route.request.url
        if not url.startswith(f"{ORIGIN}/"):
            self.outside.add(url)
            route.abort()
            return
        file = self.site / unquote(urlsplit(url).path)[1:]
        file = file / "index.html" if file.is_dir() else file
        if file.is_file():
            route.fulfill(path=file)
        else:
            self.errors.append(f"not there: {url}")
            route.fulfill(status=404, body="")
