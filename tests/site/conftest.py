"""The site, built once; one browser for all tests, whose requests are answered from the built files."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from docs import npm
from tests.site import browser as chromium
from tests.site.visitor import Visitor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the built site; LIMANI_SITE names one that is there already, to look at it again."""
    if ready := os.environ.get("LIMANI_SITE"):
        return Path(ready)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "docs.build", str(folder)]
    (ROOT / ".make").mkdir(exist_ok=True)
    with (ROOT / ".make" / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pages are staged in one place, and there may be several workers
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole run."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium.program(), args=chromium.FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, as a script for a page."""
    return npm.file(npm.AXE, "axe.min.js").decode()


@pytest.fixture
def page(browser: Browser, site: Path) -> Iterator[Page]:
    """A fresh tab with its own storage."""
    visitor = Visitor(browser, site)
    yield visitor.page
    visitor.close()


def paths(site: Path) -> list[str]:
    """Every page, from the root."""
    return sorted(f"/{path.relative_to(site).as_posix()}" for path in site.rglob("*.html"))
