"""The model of a lesson: what ``labs/NN-name/lesson.yml`` and its texts say. ``schema.py`` reads the files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

Id = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
Command = Annotated[str, Meta(min_length=1)]
Commands = tuple[Command, ...]
Name = Annotated[str, Meta(min_length=1)]
Prose = Annotated[str, Meta(min_length=1)]
LANGUAGES = ("en", "el")


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything read from a lesson's files: no other keys, nothing changes later."""


class Step(Strict, frozen=True, kw_only=True):
    """A command of the page. ``exit``: the code it must end with. ``shown``: false runs it silently between others."""

    id: Id
    run: Command
    exit: Annotated[int, Meta(ge=0, le=255)] = 0
    shown: bool = True


class Check(Strict, frozen=True, kw_only=True):
    """A question about the learner's system. ``solve``: satisfies it when the checks before it are satisfied."""

    id: Id
    probe: Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")]
    with_: dict[str, Any] = field(name="with", default_factory=dict)
    needs: tuple[Id, ...] = ()
    solve: Commands = ()


class Alternative(Strict, frozen=True, kw_only=True):
    """Another whole solution."""

    id: Id
    run: Annotated[Commands, Meta(min_length=1)]


class NearMiss(Strict, frozen=True, kw_only=True):
    """Something nearly right, done instead of the solution; exactly the check ``fails`` must fail."""

    id: Id
    run: Annotated[Commands, Meta(min_length=1)]
    fails: Id


class Break(Strict, frozen=True, kw_only=True):
    """A fault put into the solved lesson: exactly ``fails`` turns red, its cause being this id; ``fix`` mends it."""

    id: Id
    run: Annotated[Commands, Meta(min_length=1)]
    fails: Id
    fix: Annotated[Commands, Meta(min_length=1)]


class Owns(Strict, frozen=True, kw_only=True):
    """Names a Docker lesson uses: it does not start over foreign objects of these names, and a reset removes them."""

    containers: tuple[Name, ...] = ()
    images: tuple[Name, ...] = ()
    volumes: tuple[Name, ...] = ()
    networks: tuple[Name, ...] = ()


class LessonFile(Strict, frozen=True, kw_only=True):
    """``lesson.yml``."""

    id: Id
    number: Annotated[int, Meta(ge=0, le=99)]
    level: Literal["beginner", "intermediate", "advanced"]
    minutes: Annotated[int, Meta(ge=1, le=120)]
    covers: tuple[Annotated[str, Meta(pattern=r"^[EG][1-9][0-9]?$")], ...] = ()
    requires: Annotated[tuple[Literal["docker", "cluster", "nodes"], ...], Meta(min_length=1)]
    images: tuple[Annotated[str, Meta(pattern=r"^[a-z0-9-]+:[A-Za-z0-9._-]+$")], ...] = ()
    values: dict[Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")], str] = {}
    owns: Owns = Owns()
    start: Commands = ()
    steps: tuple[Step, ...] = ()
    checks: Annotated[tuple[Check, ...], Meta(min_length=1)]
    alternatives: tuple[Alternative, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    breaks: tuple[Break, ...] = ()


class CheckTexts(Strict, frozen=True, kw_only=True):
    """What is said about a check. ``hints``: tier 1 where to look, tier 2 what is wrong; never the command."""

    title: Prose
    why: Prose
    next: Prose
    hints: Annotated[tuple[Prose, ...], Meta(min_length=2, max_length=2)]


class CauseTexts(Strict, frozen=True, kw_only=True):
    """What is said instead of a check's ``why`` and ``next`` when its probe recognised the cause."""

    why: Prose
    next: Prose


class BreakTexts(Strict, frozen=True, kw_only=True):
    """How a break is announced: the symptom as a colleague would report it."""

    title: Prose
    story: Prose


class LessonTexts(Strict, frozen=True, kw_only=True):
    """``en.yml`` or ``el.yml``."""

    title: Prose
    goal: Prose
    checks: dict[str, CheckTexts]
    causes: dict[str, CauseTexts] = {}
    breaks: dict[str, BreakTexts] = {}


class Capture(Strict, frozen=True, kw_only=True):
    """What a step printed when it was last run on the real thing."""

    command_sha256: str
    exit: int
    output: str


class Outputs(Strict, frozen=True, kw_only=True):
    """``outputs.yml``: written by the capture, never by hand."""

    date: str
    versions: dict[str, str]
    steps: dict[str, Capture]


class Lesson(LessonFile, frozen=True, kw_only=True):
    """A lesson with its texts by language and its folder."""

    folder: Path
    texts: dict[str, LessonTexts]

    @property
    def needs_cluster(self) -> bool:
        """It runs on a lab cluster."""
        return "cluster" in self.requires or "nodes" in self.requires

    @property
    def needs_docker(self) -> bool:
        """It runs on a Docker daemon."""
        return "docker" in self.requires

    def step(self, step_id: str) -> Step:
        """The step of that id; KeyError if there is none."""
        return {step.id: step for step in self.steps}[step_id]

    def check(self, check_id: str) -> Check:
        """The check of that id; KeyError if there is none."""
        return {check.id: check for check in self.checks}[check_id]

    def break_(self, break_id: str) -> Break:
        """The break of that id; KeyError if there is none."""
        return {break_.id: break_ for break_ in self.breaks}[break_id]

    def markdown(self, lang: str) -> str:
        """The page as it is in the folder: no title, fences ``step``, ``file`` and ``mermaid`` not yet rendered."""
        return (self.folder / f"{lang}.md").read_text(encoding="utf-8")
