"""``limani lab``: lessons on a real Docker daemon and a real cluster."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click

from limani.cli import lab_output as show
from limani.cli import output
from limani.errors import LimaniError

if TYPE_CHECKING:
    from limani.lab.lab import Lab

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
ELSEWHERE = {
    "doctor": ("limani.cli.lab_doctor", "doctor", "Say whether lessons can run on this machine, and what is missing."),
    "serve": ("limani.cli.lab_serve", "serve", "Open the lessons with a terminal in the browser."),
}


class LabGroup(click.Group):
    """Commands with modules of their own are loaded when they are used; errors are told in the learner's language."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LimaniError as error:
            if show.error_language(sys.argv) == "el":
                show.greek(error)
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = ELSEWHERE[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = {name: self.commands[name].get_short_help_str(100) for name in super().list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(sorted((own | {name: entry[2] for name, entry in ELSEWHERE.items()}).items()))


@click.group(cls=LabGroup)
def lab() -> None:
    """Learn Docker and Kubernetes on the real thing: read, type, check.

    Each command without a lesson means the current one. State: LIMANI_LAB_HOME, else ~/.local/state/limani/lab.
    """


def _options(function: F) -> F:
    language = click.option("--lang", type=click.Choice(["en", "el"]), help="Language (default: LIMANI_LANG, LANG).")
    return output.output_option(language(function))


def _lesson(function: F) -> F:
    return click.argument("lesson", required=False)(function)


def _open(options: dict[str, Any]) -> Lab:
    from limani.lab.lab import Lab

    return Lab(lang=options["lang"])


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _say(options: dict[str, Any]) -> Callable[[str], None]:
    """Progress goes to standard error; programs do not get any."""
    return (lambda line: None) if options["output"] == "json" else (lambda line: click.echo(line, err=True))


@lab.command("list")
@_options
def list_(**options: Any) -> None:
    """List the lessons and what has been passed."""
    found = _open(options)
    show.lessons(found.lessons(), found.current(), options["output"], found.lang)


@lab.command("start")
@click.argument("lesson")
@click.option("--backend", type=click.Choice(["native", "kind", "minikube"]), help="What the cluster is made with.")
@click.option("--docker", help="Docker daemon, as in DOCKER_HOST (default: the machine's, else one of the lab's own).")
@_options
def start(lesson: str, backend: str | None, docker: str | None, **options: Any) -> None:
    """Start a lesson (by its name or number) and make it the current one."""
    found = _open(options)
    started = _run(found.start(lesson, backend=backend, docker=docker, say=_say(options)))
    show.started(started, options["output"], found.lang)


@lab.command("check")
@_lesson
@_options
def check(lesson: str | None, **options: Any) -> int:
    """Check what you did: what was found, what was wanted, why, what next. Exit code 0 if all passes."""
    from limani.lab.lab import all_pass

    found = _open(options)
    results = _run(found.check(lesson))
    show.results(found.lesson(lesson), results, options["output"], found.lang)
    return 0 if all_pass(results) else 1


@lab.command("hint")
@_lesson
@click.option("--check", help="Id of a check (default: the first one that does not pass).")
@click.option("--tier", type=click.IntRange(1, 3), help="1 where to look, 2 what is wrong, 3 the commands.")
@_options
def hint(lesson: str | None, check: str | None, tier: int | None, **options: Any) -> None:
    """Help a little; asked again, help more. Using hints costs nothing."""
    found = _open(options)
    show.hint(_run(found.hint(lesson, check, tier)), options["output"], found.lang)


@lab.command("solve")
@_lesson
@_options
def solve(lesson: str | None, **options: Any) -> int:
    """Do for you what is still missing, showing each command."""
    from limani.lab.lab import all_pass

    found = _open(options)
    results = _run(found.solve(lesson, _say(options)))
    show.results(found.lesson(lesson), results, options["output"], found.lang)
    return 0 if all_pass(results) else 1


@lab.command("break")
@_lesson
@click.option("--id", "break_id", help="Which fault (default: the first one you have not mended).")
@_options
def break_(lesson: str | None, break_id: str | None, **options: Any) -> None:
    """Break the solved lesson; find out what is wrong and mend it."""
    found = _open(options)
    show.broken(_run(found.break_(lesson, break_id)), options["output"], found.lang)


@lab.command("reset")
@_lesson
@click.option("--remove", is_flag=True, help="Remove the lesson's objects and do not start it again.")
@_options
def reset(lesson: str | None, remove: bool, **options: Any) -> None:
    """Bring the lesson back to its beginning; your files move to the folder LESSON.before."""
    found = _open(options)
    chosen = found.lesson(lesson)
    _run(found.reset(chosen.id, remove=remove, say=_say(options)))
    show.reset(chosen, remove, options["output"], found.lang)


@lab.command("status")
@_options
def status(**options: Any) -> None:
    """Show what is started and what has been done."""
    found = _open(options)
    show.status(found.status(), options["output"], found.lang)


@lab.command("watch")
@_lesson
@_options
def watch(lesson: str | None, **options: Any) -> int:
    """Check again whenever something changes, until all passes or Ctrl-C."""
    from limani.lab.lab import all_pass

    found = _open(options)

    async def follow() -> None:
        async for results in found.watch(lesson):
            show.results(found.lesson(lesson), results, options["output"], found.lang)
            if all_pass(results):
                return

    _run(follow())
    return 0


@lab.command("next")
@_options
def next_(**options: Any) -> None:
    """Say which lesson comes next."""
    found = _open(options)
    show.following(found.next(), options["output"], found.lang)


@lab.command("read")
@_lesson
@_options
def read(lesson: str | None, **options: Any) -> None:
    """Show a lesson's page as text."""
    found = _open(options)
    show.page(found.page(lesson), options["output"])


@lab.command("env")
@_lesson
@_options
def env(lesson: str | None, **options: Any) -> None:
    """Print what sets up your shell: eval "$(limani lab env)"."""
    show.environment(_open(options).env(lesson), options["output"])


@lab.command("shell")
@_lesson
@click.option("--lang", type=click.Choice(["en", "el"]), help="Language (default: LIMANI_LANG, LANG).")
def shell(lesson: str | None, **options: Any) -> int:
    """Open a shell in the lesson's workspace, with kubectl and docker pointing at the lab."""
    from limani.lab import texts
    from limani.lab.actions import shell_command

    found = _open(options)
    world = found.world(lesson)
    environment = {**os.environ, **found.env(lesson)}
    click.echo(texts.say(found.lang, "shell.open", folder=world.workspace), err=True)
    return subprocess.run(shell_command(), cwd=world.workspace, env=environment).returncode


@lab.command("down")
@click.option("--force", is_flag=True, help="Go on where a part does not answer or is not the lab's any more.")
@_options
def down(force: bool, **options: Any) -> None:
    """Remove everything the lab made, progress too."""
    found = _open(options)
    _run(found.down(_say(options), force=force))
    show.down(found.home, options["output"], found.lang)
