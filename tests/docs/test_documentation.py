"""The documentation tells the truth about commands, files and links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from docs.pages import commands as commands_page
from docs.pages import errors, modules
from docs.texts import LANGUAGES
from limani.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for lang in LANGUAGES for path in (ROOT / "docs" / lang).rglob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
SYNOPSIS = re.compile(r"^\$ (.*)$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(text: str) -> list[list[str]]:
    """Every command shown after a prompt or in backquotes, split into words, without sudo and the like."""
    found = []
    for line in [*SYNOPSIS.findall(text), *INLINE.findall(text)]:
        for part in re.split(r'&&|;|\||"?\$\(|\)"?', line):
            words = shlex.split(part, comments=True)
            while words and (words[0] in ("sudo", "-E", "export") or "=" in words[0]):
                words = words[1:]
            if words:
                found.append([words[0].removeprefix(".venv/bin/"), *words[1:]])
    return found


def test_every_error_class_is_in_the_table() -> None:
    """Codes are unique and none is missing from the page, in either language."""
    codes = [error.code for error in errors.error_classes()]
    assert len(set(codes)) == len(codes)
    for lang in LANGUAGES:
        page = errors.page(lang)
        assert [code for code in codes if f"| `{code}` |" not in page] == []


def test_every_command_and_plugin_has_its_place() -> None:
    """The reference has a section for each command and a page for each module, role and filter."""
    names = {f"reference/{kind}s/{name}.md" for kind, name in modules.everything()}
    files = [path.stem for path in (ROOT / "plugins/modules").glob("*.py")]
    for lang in LANGUAGES:
        assert "{#limani-cluster-create}" in commands_page.page(lang)
        assert names <= modules.pages(lang).keys()
        assert {f"reference/modules/{name}.md" for name in files} <= names


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_limani_commands_exist(path: Path) -> None:
    """Every `limani ...` in a page names a command and options that exist."""
    for words in commands(path.read_text()):
        if words[0] == "limani":
            check_command(words)


def check_command(words: list[str]) -> None:
    """Walk down the groups, then let the command's own parser look at the options."""
    context, command, rest = click.Context(cli, info_name="limani"), cli, words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        below = command.get_command(context, rest[0])
        assert below is not None, f"{' '.join(words)}: there is no {rest[0]}"
        context, command, rest = click.Context(below, parent=context, info_name=rest[0]), below, rest[1:]
    try:
        command.make_parser(context).parse_args(list(rest))
    except click.UsageError as error:
        pytest.fail(f"{' '.join(words)}: {error.message}")


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_make_targets_exist(path: Path) -> None:
    """Every `make TARGET` in a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = {words[1] for words in commands(path.read_text()) if words[0] == "make" and len(words) > 1}
    assert asked - targets == set()


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_files_that_are_named_exist(path: Path) -> None:
    """A path of the repository in backquotes or on a command line exists."""
    places = ("bench/", "docs/", "images/", "playbooks/", "plugins/", "roles/", "scripts/", "src/", "tests/", ".ci/")
    words = {word for line in commands(path.read_text()) for word in line}
    assert [word for word in sorted(words) if word.startswith(places) and not (ROOT / word).exists()] == []


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_links_of_the_repository_pages(path: Path) -> None:
    """Relative links of pages outside the site lead to files (mkdocs --strict looks after the site's own)."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_site_asks_nobody_else() -> None:
    """The theme loads no font and the configuration names no outside script."""
    text = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in text
    assert "http://" not in text
    assert "https://" not in text
