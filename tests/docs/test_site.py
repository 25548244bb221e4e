"""The site builds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    """mkdocs finds no broken link or missing page; no page loads a script, style, font or image from another host."""
    command = [sys.executable, "-m", "docs.build", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert pages
    loads = re.compile(r'<(?:script|img|iframe)[^>]+src="https?:|<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+https?:')
    assert [page.name for page in pages if loads.search(page.read_text())] == []
