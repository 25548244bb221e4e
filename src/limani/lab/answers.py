"""What the lab answers with, besides results and hints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limani.lab.record import Result, Status


@dataclass(frozen=True)
class LessonSummary:
    """A lesson in the list. ``state``: new, started or passed."""

    id: str
    number: int
    title: str
    goal: str
    level: str
    minutes: int
    requires: tuple[str, ...]
    state: str


@dataclass(frozen=True)
class Started:
    """A lesson that is ready. ``resumed``: it was so before."""

    lesson: str
    title: str
    workspace: str
    namespace: str | None
    docker_host: str | None
    address: str
    resumed: bool
    seconds: float


@dataclass(frozen=True)
class Broken:
    """A break that is now in the lesson: the symptom, told."""

    lesson: str
    id: str
    title: str
    story: str


def all_pass(results: Sequence[Result]) -> bool:
    """Whether every check passes."""
    return all(result.status == Status.PASS for result in results)


def following(lessons: Sequence[LessonSummary], current: str | None) -> LessonSummary | None:
    """The next lesson that has not been passed; after the last one the first that was left out."""
    number = next((lesson.number for lesson in lessons if lesson.id == current), -1)
    todo = [lesson for lesson in lessons if lesson.state != "passed" and lesson.id != current]
    return next((lesson for lesson in todo if lesson.number > number), todo[0] if todo else None)
