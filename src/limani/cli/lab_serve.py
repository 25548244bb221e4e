"""``limani lab serve``: the lesson in a browser, with a real shell beside it."""

from __future__ import annotations

import asyncio
import os

import click

from limani.errors import LabPageIncomplete, LabPageRefused

ROOT = (
    "The page's terminal would be a root shell in a browser: whoever gets hold of this browser session would be root "
    "on this machine."
)
ROOT_HINT = (
    "Run it as yourself (lessons on your own Docker, kind or minikube need no root). A native cluster needs root: "
    "there say limani lab serve --allow-root, on a machine you can afford to lose."
)


@click.command("serve")
@click.argument("lesson", required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; a free one by default.")
@click.option("--ipv6", is_flag=True, help="Listen on [::1] instead of 127.0.0.1.")
@click.option(
    "--idle", type=click.FloatRange(min=1), default=60, show_default=True, help="Minutes until an unused shell ends."
)
@click.option("--allow-root", is_flag=True, help="Serve although the terminal is then a root shell.")
@click.option("--lang", type=click.Choice(["en", "el"]), help="Language of the page; else that of the system.")
def serve(lesson: str | None, port: int, ipv6: bool, idle: float, allow_root: bool, lang: str | None) -> None:
    """Open the current lesson (or LESSON) in a browser: text, terminal, checks and a live picture.

    Only this machine and the first browser that opens the printed link get in. Buttons type into the terminal you see;
    they run nothing behind your back.
    """
    if os.geteuid() == 0 and not allow_root:
        raise LabPageRefused(ROOT, hint=ROOT_HINT)
    try:
        from limani.lab.serve import server
    except ModuleNotFoundError as error:
        text = f"The page needs the Python package {error.name}, which is not installed."
        raise LabPageIncomplete(text, hint="Run: pip install 'limani[serve]'", package=error.name) from error
    from limani.lab.lab import Lab
    from limani.lab.serve import vendor
    from limani.lab.texts import say

    vendor.verify()
    lab = Lab(lang=lang)
    listening = server.listen(port, "::1" if ipv6 else "127.0.0.1")
    chosen = lesson or lab.current() or "first-success"
    asyncio.run(lab.start(chosen, say=lambda line: click.echo(line, err=True)))

    def opened(link: str) -> None:
        click.echo(say(lab.lang, "serve.cli.open"), err=True)
        click.echo(link)
        if os.geteuid() == 0:
            click.echo(say(lab.lang, "serve.cli.root"), err=True)
        click.echo(say(lab.lang, "serve.cli.stop"), err=True)

    asyncio.run(server.serve(lab, listening, idle * 60, opened))
    click.echo(say(lab.lang, "serve.cli.stopped"), err=True)
