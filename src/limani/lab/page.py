"""A lesson's page: its own fences (``step``, ``file``), its headings, and a plain Markdown form for a terminal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from limani.lab import actions
from limani.lab.lesson import Lesson
from limani.lab.rules import RANDOM

_FENCE = re.compile(
    r"^(?P<ticks>`{3,})(?P<kind>[a-z]*)[ ]*\n(?P<body>.*?)^(?P=ticks)[ ]*$\n?", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^(?P<level>#{1,6}) +(?P<title>.+?) *(?:\{#(?P<id>[a-z0-9-]+)\})? *$", re.MULTILINE)


EXAMPLE = "5e3a91c7"
"""Stands for a random value where a page is shown without a started lesson, and in captured outputs."""


@dataclass(frozen=True)
class Fence:
    """A fenced block: ``step`` (body: id of a step), ``file`` (path under files/), ``mermaid``, or plain code."""

    kind: str
    body: str
    line: int


@dataclass(frozen=True)
class Heading:
    """A heading; ``id``: None where none is given."""

    level: int
    title: str
    id: str | None
    line: int


def fences(markdown: str) -> Iterator[Fence]:
    """All fenced blocks, in order."""
    for match in _FENCE.finditer(markdown):
        yield Fence(match["kind"], match["body"].rstrip("\n"), _line(markdown, match.start()))


def headings(markdown: str) -> Iterator[Heading]:
    """All headings outside fenced blocks, in order."""
    blank = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), markdown)
    for match in _HEADING.finditer(blank):
        yield Heading(len(match["level"]), match["title"], match["id"], _line(blank, match.start()))


def plain(lesson: Lesson, lang: str, values: Mapping[str, str]) -> str:
    """The page in plain Markdown: title, goal, text; steps as commands, files with their content."""

    def render(match: re.Match[str]) -> str:
        body = match["body"].strip()
        if match["kind"] == "step":
            return f"```sh\n{actions.fill(lesson.step(body).run, values).rstrip()}\n```\n"
        if match["kind"] == "file":
            return f"`{body.removesuffix('.j2')}`:\n\n```\n{file(lesson, body, values).rstrip()}\n```\n"
        return match[0]

    said = lesson.texts[lang]
    text = _FENCE.sub(render, lesson.markdown(lang))
    text = re.sub(r" *\{#[a-z0-9-]+\} *$", "", text, flags=re.MULTILINE)
    return f"# {said.title}\n\n{actions.fill(text, values)}"


def example_values(lesson: Lesson) -> dict[str, str]:
    """Values for showing a lesson that is not started; the captured outputs have the same ones."""
    values = {name: EXAMPLE if kind == RANDOM else kind for name, kind in lesson.values.items()}
    workspace = f"~/.local/state/limani/lab/work/{lesson.id}"
    return {**values, "namespace": lesson.id, "workspace": workspace, "address": "127.0.0.1"}


def digest(command: str) -> str:
    """What a capture remembers of its command, as it stands in the lesson's file."""
    return hashlib.sha256(command.encode()).hexdigest()


def file(lesson: Lesson, path: str, values: Mapping[str, str]) -> str:
    """A file of the workspace by its path under ``files/``, with or without ``.j2``."""
    source = lesson.folder / "files" / path
    template = source.with_name(source.name + ".j2")
    if not source.exists() and template.exists():
        source = template
    text = source.read_text(encoding="utf-8")
    return actions.fill(text, values) if source.suffix == ".j2" else text


def problems(lesson: Lesson, lang: str) -> list[str]:
    """What is wrong with the page, each with file and line: unknown steps and files, headings without an id."""
    markdown = lesson.markdown(lang)
    shown = f"{lesson.folder.name}/{lang}.md"
    steps = {step.id: step for step in lesson.steps}
    found = []
    for fence in fences(markdown):
        where, body = f"{shown}:{fence.line}", fence.body.strip()
        if fence.kind == "step" and body not in steps:
            found.append(f"{where}: no step {body}")
        elif fence.kind == "step" and not steps[body].shown:
            found.append(f"{where}: the step {body} is not meant to be shown")
        elif fence.kind == "file":
            path = lesson.folder / "files" / body
            if not path.is_file() and not path.with_name(path.name + ".j2").is_file():
                found.append(f"{where}: no file files/{body}")
    for heading in headings(markdown):
        if heading.level == 1:
            found.append(f"{shown}:{heading.line}: the title comes from {lang}.yml; no heading of level 1")
        elif heading.id is None:
            found.append(f"{shown}:{heading.line}: the heading has no id, such as {{#task}}")
    if "task" not in [heading.id for heading in headings(markdown)]:
        found.append(f"{shown}:1: there is no heading {{#task}}")
    return found


def shown_steps(lesson: Lesson, lang: str) -> list[str]:
    """The ids of the steps the page shows, in its order."""
    return [fence.body.strip() for fence in fences(lesson.markdown(lang)) if fence.kind == "step"]


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
