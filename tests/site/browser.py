"""Chromium as the tests use it: the system's, quiet, and unable to reach anything but this machine."""

from __future__ import annotations

import shutil

FLAGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


def program() -> str:
    """Path of Chromium; the tests fail where there is none, for then nothing has been looked at."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "Chromium is missing; scripts/setup.sh --tests installs it"
    return found
