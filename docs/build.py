"""Build the site: ``python -m docs.build [FOLDER]`` (default ``site``).

All pages of both languages are collected in ``.make/docs``: those people wrote and those made from code and data.
mkdocs builds them, and any warning (a link, an anchor, a page only one language has) is an error. Pagefind then indexes
the pages, each language for itself.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from docs import glossary, npm
from docs.npm import NotToBeHad
from docs.pages import generated
from docs.pages.lessons import PageNotPossible
from docs.texts import LANGUAGES
from limani.errors import LimaniError

ROOT = Path(__file__).resolve().parent.parent
STAGE = ROOT / ".make" / "docs"
# The theme's makers announce the end of mkdocs 1 at each build; pyproject.toml pins below it.
os.environ["NO_MKDOCS_2_WARNING"] = "1"


def main(arguments: list[str]) -> int:
    """Build everything into a folder; 1 with what is wrong on stderr."""
    begun = time.monotonic()
    target = Path(arguments[0] if arguments else "site").resolve()
    try:
        stage(STAGE)
    except (NotToBeHad, PageNotPossible, LimaniError) as error:
        print(f"The site was not built: {error}", file=sys.stderr)
        return 1
    if not render(STAGE, target):
        return 1
    index(target)
    pages = sum(1 for _ in target.rglob("*.html"))
    print(f"{pages} pages in {target}, {time.monotonic() - begun:.0f} s")
    return 0


def stage(folder: Path) -> None:
    """Collect all pages, and what the browser loads, in a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for lang in LANGUAGES:
        shutil.copytree(ROOT / "docs" / lang, folder / lang)
        for name, page in generated(lang).items():
            path = folder / lang / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page, encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "assets", folder / "assets")
    (folder / "assets" / "mermaid.min.js").write_bytes(npm.file(npm.MERMAID, "dist/mermaid.min.js"))
    for lang in LANGUAGES:
        (folder / "assets" / f"words-{lang}.json").write_text(json.dumps(glossary.synonyms(lang), ensure_ascii=False))


def render(folder: Path, target: Path) -> bool:
    """Let mkdocs make the site, strictly; whether it did."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort, ConfigurationError

    # Warnings are counted by handlers of this logger: silenced they would no longer fail the build.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("mkdocs").setLevel(logging.WARNING)
    try:
        config = load_config(str(ROOT / "mkdocs.yml"), strict=True, docs_dir=str(folder), site_dir=str(target))
        config.nav = navigation(config.nav or [], list(generated("en")))
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
    except (Abort, ConfigurationError) as error:
        print(f"The site was not built: {error}", file=sys.stderr)
        return False
    return True


def navigation(nav: Any, made: Collection[str]) -> Any:
    """The navigation with every folder (an entry that ends in a slash) replaced by its pages in their order."""
    if isinstance(nav, dict):
        return {title: navigation(item, made) for title, item in nav.items()}
    if isinstance(nav, str):
        return [name for name in made if name.startswith(nav)] if nav.endswith("/") else nav
    return [navigation(item, made) for item in nav]


def index(target: Path) -> None:
    """Index the pages for the search, one index for each language."""
    options = ["--site", str(target), "--root-selector", "article.md-content__inner", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pagefind", *options, "--exclude-selectors", ".headerlink", "--include-characters", "_"],
        check=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
