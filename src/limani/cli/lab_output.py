"""How the learning lab speaks: plain lines that begin with a word for the status, or JSON.

Colour only repeats what the word says, only on a terminal and never with NO_COLOR.
"""

from __future__ import annotations

import itertools
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limani.cli import output
from limani.errors import LimaniError
from limani.lab.record import Result, Status
from limani.lab.texts import explained, language
from limani.lab.texts import say as said

if TYPE_CHECKING:
    from limani.lab.hints import Hint
    from limani.lab.lab import Broken, LessonSummary, Started
    from limani.lab.lesson import Lesson

COLOURS = {Status.PASS: "green", Status.FAIL: "red", Status.BLOCKED: "yellow", Status.UNKNOWN: "magenta"}


def results(lesson: Lesson, found: Sequence[Result], form: str, lang: str) -> None:
    """The answers of all checks."""
    passing = sum(result.status == Status.PASS for result in found)
    if form == "json":
        output.json(
            {"lesson": lesson.id, "passed": passing == len(found), "checks": [result.to_dict() for result in found]}
        )
        return
    words = {status: said(lang, f"status.{status}") for status in Status}
    labels = [said(lang, f"label.{name}") for name in ("found", "wanted", "why", "next")]
    indent, width = max(map(len, words.values())) + 2, max(map(len, labels)) + 1
    for result in found:
        word = words[result.status].ljust(indent)
        click.echo(f"{coloured(word, COLOURS[result.status])}{result.title}")
        if result.status != Status.PASS:
            lines = zip(labels, (result.found, result.wanted, result.why, result.next), strict=True)
            for label, text in lines:
                click.echo(f"{' ' * indent}{(label + ':').ljust(width)} {_inner(text, indent + width + 1)}")
    key = "check.all" if passing == len(found) else "check.some"
    click.echo(said(lang, key, passed=passing, total=len(found), lesson=lesson.texts[lang].title))


def lessons(found: Sequence[LessonSummary], current: str | None, form: str, lang: str) -> None:
    """The list of lessons."""
    if form == "json":
        output.json({"current": current, "lessons": [asdict(lesson) for lesson in found]})
        return
    heads = [said(lang, f"head.{name}") for name in ("number", "lesson", "title", "minutes", "needs", "state")]
    rows = []
    for item in found:
        state = said(lang, f"state.{item.state}")
        here = f", {said(lang, 'state.current')}" if item.id == current else ""
        needs = ", ".join(item.requires)
        rows.append((f"{item.number:02}", item.id, item.title, item.minutes, needs, state + here))
    output.table(heads, rows)


def started(info: Started, form: str, lang: str) -> None:
    """A lesson is ready."""
    if form == "json":
        output.json(asdict(info))
        return
    click.echo(said(lang, "start.resumed" if info.resumed else "start.ready", title=info.title, lesson=info.lesson))
    click.echo(said(lang, "start.workspace", folder=info.workspace))
    if info.namespace:
        click.echo(said(lang, "start.namespace", namespace=info.namespace))
    if info.docker_host:
        click.echo(said(lang, "start.docker", host=info.docker_host))
    click.echo(said(lang, "start.what_now"))


def hint(info: Hint, form: str, lang: str) -> None:
    """A hint, with those of the tiers below."""
    if form == "json":
        output.json(info.to_dict())
        return
    click.echo(said(lang, "hint.about", title=info.title))
    texts = [*info.earlier, *([info.text] if info.text else [])]
    for tier, text in enumerate(texts, 1):
        click.echo(said(lang, "hint.tier", tier=tier, text=_inner(text, 3)))
    if info.commands:
        click.echo(said(lang, "hint.commands"))
        for command in info.commands:
            click.echo("   " + _inner(command, 3))
    if not info.last:
        click.echo(said(lang, "hint.more"))


def broken(info: Broken, form: str, lang: str) -> None:
    """A break is in."""
    if form == "json":
        output.json(asdict(info))
        return
    click.echo(info.title)
    click.echo(info.story.rstrip())
    click.echo(said(lang, "break.what_now"))


def reset(lesson: Lesson, removed: bool, form: str, lang: str) -> None:
    """A lesson was reset or removed."""
    if form == "json":
        output.json({"lesson": lesson.id, "removed": removed})
        return
    click.echo(said(lang, "reset.removed" if removed else "reset.done", title=lesson.texts[lang].title))


def status(info: Mapping[str, Any], form: str, lang: str) -> None:
    """What is started and done."""
    if form == "json":
        output.json(info)
        return
    if info["current"] is None:
        click.echo(said(lang, "status.none"))
    else:
        click.echo(said(lang, "status.current", lesson=info["current"], folder=info["workspace"]))
        if info["namespace"]:
            click.echo(said(lang, "start.namespace", namespace=info["namespace"]))
        if info["docker_host"]:
            click.echo(said(lang, "start.docker", host=info["docker_host"]))
        if info["broken"]:
            click.echo(said(lang, "status.broken"))
    click.echo(said(lang, "status.passed", passed=info["passed"], total=len(info["lessons"])))


def following(info: LessonSummary | None, form: str, lang: str) -> None:
    """Which lesson comes next."""
    if form == "json":
        output.json({"next": asdict(info) if info else None})
    elif info is None:
        click.echo(said(lang, "next.none"))
    else:
        click.echo(said(lang, "next.lesson", number=info.number, title=info.title, goal=info.goal))
        click.echo(said(lang, "next.start", lesson=info.id))


def page(markdown: str, form: str) -> None:
    """A page: through the pager on a terminal."""
    if form == "json":
        output.json({"markdown": markdown})
    else:
        click.echo_via_pager(markdown)


def environment(values: Mapping[str, str], form: str) -> None:
    """Variables as a shell takes them."""
    if form == "json":
        output.json(values)
        return
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def down(home: Path, form: str, lang: str) -> None:
    """Everything is gone."""
    if form == "json":
        output.json({"home": str(home), "removed": True})
    else:
        click.echo(said(lang, "down.done", home=home))


def greek(problem: LimaniError) -> None:
    """An error's kind and what to do in Greek, above the English words that say where and why."""
    if known := explained(problem, "el"):
        click.echo(f"limani: {known[0]}", err=True)
        click.echo(f"  {said('el', 'label.next')}: {known[1]}", err=True)


def error_language(arguments: Sequence[str]) -> str:
    """The language of a command line, which may be wrong itself."""
    after = dict(itertools.pairwise(arguments)).get("--lang")
    wanted = after or next((word.partition("=")[2] for word in arguments if word.startswith("--lang=")), None)
    try:
        return language(wanted)
    except LimaniError:
        return "en"


def coloured(text: str, colour: str) -> str:
    """``text`` in a colour where that is wanted."""
    return click.style(text, fg=colour) if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text


def _inner(text: str, indent: int) -> str:
    """Text of several lines below a label."""
    return ("\n" + " " * indent).join(text.rstrip().splitlines())
