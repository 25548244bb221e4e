"""What every lesson's page ends with: its checks with hints, its faults, its playbooks."""

from __future__ import annotations

from collections.abc import Iterator

from docs.pages.lesson_values import filled, said
from docs.pages.markup import fence
from docs.texts import text
from limani.lab.lesson import Check, Lesson


def checks(lang: str, lesson: Lesson) -> Iterator[str]:
    """Every check: what it asks, why, and its hints one after the other; the last is the solution."""
    yield f"## {text(lang, 'lessons.checks')} {{#checks}}\n"
    yield text(lang, "lessons.checks-intro") + "\n"
    for check in lesson.checks:
        texts = lesson.texts[lang].checks[check.id]
        yield f"### {said(lesson, texts.title)} {{#check-{check.id}}}\n"
        yield said(lesson, texts.why) + "\n"
        for number, hint in enumerate(texts.hints, 1):
            yield details(text(lang, "lessons.hint", number=number), said(lesson, hint))
        yield from solution(lang, lesson, check, len(texts.hints) + 1)


def solution(lang: str, lesson: Lesson, check: Check, number: int) -> Iterator[str]:
    """The last hint, if a check has commands of its own."""
    if check.solve:
        commands = "\n".join(filled(lesson, command) for command in check.solve)
        title = f"{text(lang, 'lessons.hint', number=number)}: {text(lang, 'lessons.solution')}"
        yield details(title, fence("sh", commands))


def breaks(lang: str, lesson: Lesson) -> Iterator[str]:
    """Every fault: the symptom, and closed up what it was and how it is mended."""
    if not lesson.breaks:
        return
    yield f"## {text(lang, 'lessons.breaks')} {{#breaks}}\n"
    yield text(lang, "lessons.breaks-intro") + "\n"
    for broken in lesson.breaks:
        texts = lesson.texts[lang].breaks[broken.id]
        yield f"### {said(lesson, texts.title)} {{#break-{broken.id}}}\n"
        yield said(lesson, texts.story) + "\n"
        fix = "\n".join(filled(lesson, command) for command in broken.fix)
        why = said(lesson, lesson.texts[lang].causes[broken.id].why)
        yield details(text(lang, "lessons.cause"), f"{why}\n\n{fence('sh', fix)}")


def playbooks(lang: str, lesson: Lesson) -> Iterator[str]:
    """How to run the lesson's playbooks, and the solution as one."""
    solve = lesson.folder / "solve.yml"
    if not solve.is_file():
        return
    names = ["start.yml", "solve.yml", *(f"break_{broken.id}.yml" for broken in lesson.breaks), "reset.yml"]
    lines = [f"$ ansible-playbook labs/{lesson.folder.name}/{name}" for name in names]
    yield f"## {text(lang, 'lessons.playbooks')} {{#playbooks}}\n"
    yield text(lang, "lessons.playbooks-intro") + "\n"
    yield fence("console", "\n".join(lines))
    yield details(f"{text(lang, 'lessons.solution')}: solve.yml", fence("yaml", solve.read_text(encoding="utf-8")))


def details(summary: str, body: str) -> str:
    """A block that opens on demand."""
    return f'<details markdown="1">\n<summary markdown="span">{summary}</summary>\n\n{body}\n\n</details>\n'
