"""The lessons' pages and their index, from ``labs/``: both languages show the same commands and captured outputs."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from docs.pages import lesson_ends
from docs.pages.lesson_values import filled, said
from docs.pages.markup import fence
from docs.texts import text
from limani.lab import library
from limani.lab import page as lab_page
from limani.lab.lesson import Lesson, Outputs, Step

FENCE = re.compile(r"^```(step|file)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
LANGUAGES_BY_SUFFIX = {".yaml": "yaml", ".yml": "yaml", ".sh": "sh", ".html": "html", "": "text"}


class PageNotPossible(Exception):
    """A lesson shows what nobody has run, or a file it does not have."""


@functools.cache
def all_lessons() -> list[Lesson]:
    """All lessons by number."""
    return library.load_all()


def pages(lang: str) -> dict[str, str]:
    """The index and a page for every lesson."""
    return {
        "lessons/index.md": index(lang),
        **{f"lessons/{lesson.id}.md": page(lang, lesson) for lesson in all_lessons()},
    }


def index(lang: str) -> str:
    """A list of all lessons: title, what it takes, what it is for."""
    lines = [f"# {text(lang, 'lessons.title')} {{#lessons}}\n", text(lang, "lessons.intro") + "\n"]
    for lesson in all_lessons():
        texts = lesson.texts[lang]
        lines.append(f"* **[{texts.title}]({lesson.id}.md)** ({facts(lang, lesson)})<br>{said(lesson, texts.goal)}")
    return "\n".join(lines) + "\n"


def facts(lang: str, lesson: Lesson) -> str:
    """For whom a lesson is, how long it takes and what it needs."""
    level = text(lang, f"lessons.{lesson.level}")
    return text(lang, "lessons.facts", level=level, minutes=lesson.minutes, needs=needs(lang, lesson))


def needs(lang: str, lesson: Lesson) -> str:
    """What a lesson needs, in words."""
    return ", ".join(text(lang, f"lessons.{need}") for need in lesson.requires)


def page(lang: str, lesson: Lesson) -> str:
    """A lesson: what it is, its text with commands and outputs, its checks, faults and playbooks."""
    outputs = library.outputs(lesson.folder)
    texts = lesson.texts[lang]
    if wrong := lab_page.problems(lesson, lang):
        raise PageNotPossible("\n".join(wrong))
    markdown = filled(lesson, lesson.markdown(lang))
    body = FENCE.sub(lambda found: rendered(lang, lesson, outputs, found[1], found[2].strip()), markdown)
    parts = [
        f"# {texts.title} {{#{lesson.id}}}\n",
        f"{facts(lang, lesson)}\n{{ .lesson-facts }}\n",
        said(lesson, texts.goal) + "\n",
        text(lang, "lessons.begin", id=lesson.id) + "\n",
        captured(lang, outputs),
        body.strip() + "\n",
        *lesson_ends.checks(lang, lesson),
        *lesson_ends.breaks(lang, lesson),
        *lesson_ends.playbooks(lang, lesson),
    ]
    return "\n".join(parts)


def captured(lang: str, outputs: Outputs | None) -> str:
    """Where the outputs of the page come from, "" if it shows none."""
    if outputs is None:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in outputs.versions.items())
    origin = text(lang, "lessons.captured", date=outputs.date, versions=versions)
    return f"{origin}\n{{ .lesson-facts }}\n"


def rendered(lang: str, lesson: Lesson, outputs: Outputs | None, kind: str, body: str) -> str:
    """A fence of the lesson as Markdown any renderer understands."""
    if kind == "file":
        content = lab_page.file(lesson, body, lab_page.example_values(lesson))
        name = body.removesuffix(".j2")
        return fence(language_of(Path(name)), content, title=name)
    return "\n".join(shown_step(lang, lesson, outputs, lesson.step(body)))


def language_of(path: Path) -> str:
    """What the highlighter calls a file's language."""
    if path.name == "Dockerfile" or path.name.startswith("Dockerfile."):
        return "dockerfile"
    return LANGUAGES_BY_SUFFIX.get(path.suffix, "text")


def shown_step(lang: str, lesson: Lesson, outputs: Outputs | None, step: Step) -> Iterator[str]:
    """The command, and below it what it printed when it was last run. Refuses a command nobody has run as it is."""
    capture = outputs.steps.get(step.id) if outputs else None
    if capture is None or capture.command_sha256 != lab_page.digest(step.run):
        raise PageNotPossible(
            f"{lesson.folder.name} shows the step {step.id!r}, but its command has not been run since it was written. "
            f"Run python -m tests.lab.capture {lesson.id}."
        )
    yield fence("sh", filled(lesson, step.run), "step-command")
    if capture.output.strip():
        yield fence("text", capture.output, "step-output", "no-copy", title=text(lang, "lessons.output"))
    else:
        yield f"{text(lang, 'lessons.silent')}\n{{ .step-note }}\n"
    if step.exit:
        yield f"{text(lang, 'lessons.exit', code=step.exit)}\n{{ .step-note }}\n"
