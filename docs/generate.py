"""Write the generated pages of the documentation: ``python -m docs.generate`` (``--check``: only say what is stale).

Pages: reference/errors.md from ``limani.errors``, reference/command-line.md from the command's own help.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from limani import errors
from limani.cli.main import cli

PAGES = Path(__file__).resolve().parent / "en"
NOTE = "<!-- Written by make docs; do not edit. -->\n"
WIDTHS = {"terminal_width": 100, "max_content_width": 100}


def main(arguments: list[str]) -> int:
    """Write all pages, or with ``--check`` return 1 if one would change."""
    check = arguments == ["--check"]
    stale = []
    for name, render in GENERATED.items():
        path, text = PAGES / name, render()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for name in stale:
        print(f"docs/en/{name} {'is stale; run make docs' if check else 'written'}")
    return 1 if check and stale else 0


def error_page() -> str:
    """Every error: its code, what it means, what to do, and the HTTP status of an agent's answer."""
    lines = [
        "# Errors\n",
        NOTE,
        "Every error of Limani says what went wrong, where and why, what to do next (the hint), and carries a code",
        "that never changes its meaning. The command exits with 2 for what the user gave (status 400) and 1 for the",
        "rest; a module fails with the same fields; an agent answers with the status given here.\n",
        "| code | what it means | what to do | status |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{e.code}` | {meaning(e)} | {cell(e.default_hint)} | {e.status} |" for e in error_classes()]
    return "\n".join(lines) + "\n"


def error_classes() -> list[type[errors.LimaniError]]:
    """All error classes in the order of the source."""
    found = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.LimaniError)]
    return sorted(found, key=lambda c: inspect.getsourcelines(c)[1])


def meaning(error: type[errors.LimaniError]) -> str:
    """The first paragraph of the class's docstring."""
    if error is errors.LimaniError:
        return "A mistake in Limani itself."
    return cell(inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].replace("\n", " "))


def cell(text: str) -> str:
    """Text that may stand in a Markdown table."""
    return text.replace("|", "\\|").replace("``", "`").replace("<", "&lt;")


def command_page() -> str:
    """The help of every command."""
    top = click.Context(cli, info_name="limani", **dict(cli.context_settings), **WIDTHS)
    _, *rest = sections(top, 1)
    return "\n".join(["# Command line\n", NOTE, *rest])


def sections(context: click.Context, level: int) -> Iterator[str]:
    """A heading and the help of a command and of those below it."""
    yield f"{'#' * level} {context.command_path}\n"
    yield f"```text\n{context.get_help()}\n```\n"
    if not isinstance(context.command, click.Group):
        return
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        assert command is not None
        settings = dict(command.context_settings)
        yield from sections(click.Context(command, context, name, **settings, **WIDTHS), level + 1)


GENERATED: dict[str, Callable[[], str]] = {
    "reference/errors.md": error_page,
    "reference/command-line.md": command_page,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
