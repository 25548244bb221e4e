"""reference/command-line.md, from the command's own help."""

from __future__ import annotations

from collections.abc import Iterator

import click

from docs.pages.markup import english_block, slug
from docs.texts import text
from limani.cli.main import cli

WIDTHS = {"terminal_width": 100, "max_content_width": 100}


def page(lang: str) -> str:
    """The help of every command."""
    top = click.Context(cli, info_name="limani", **dict(cli.context_settings), **WIDTHS)
    title = f"# {text(lang, 'commands.title')} {{#command-line}}\n\n{text(lang, 'commands.intro')}\n"
    return "\n".join([title, *sections(lang, top, 2)]) + "\n"


def sections(lang: str, context: click.Context, level: int) -> Iterator[str]:
    """A heading and the help of a command and of those below it."""
    path = context.command_path
    yield f"{'#' * level} {path} {{#{slug(path)}}}\n"
    yield english_block(lang, f"```text\n{context.get_help()}\n```") + "\n"
    if not isinstance(context.command, click.Group):
        return
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        assert command is not None
        settings = dict(command.context_settings)
        yield from sections(lang, click.Context(command, context, name, **settings, **WIDTHS), min(level + 1, 4))
