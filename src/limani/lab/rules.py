"""What holds for a lesson beyond its schema: references, probes, texts. Each breach is refused with file and line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from limani.lab import probes
from limani.lab.lesson import LessonFile, LessonTexts
from limani.lab.schema import Source, Where
from limani.lab.texts import PLACEHOLDER

BUILT_IN = ("namespace", "workspace", "address")
"""Values every lesson has besides its own."""
VALUE = re.compile(r"\{\{ ([a-z][a-z0-9_]*) \}\}")
GO_WORDS = frozenset({"end", "else", "break", "continue"})
"""Words of Go's templates (docker --format), which are no values of a lesson."""
LIMITS = {"E": 57, "G": 32}
RANDOM = "random"


def check_lesson(lesson: LessonFile, source: Source) -> None:
    """All rules of ``lesson.yml``."""
    folder = source.path.parent.name
    if folder != f"{lesson.number:02}-{lesson.id}":
        source.refuse(("number",), f"the folder must be called {lesson.number:02}-{lesson.id}, not {folder}")
    for index, item in enumerate(lesson.covers):
        if int(item[1:]) > LIMITS[item[0]]:
            source.refuse(("covers", index), f"there is no {item}; the last one is {item[0]}{LIMITS[item[0]]}")
    for kind in ("steps", "checks", "alternatives", "near_misses", "breaks"):
        _unique(source, kind, [item.id for item in getattr(lesson, kind)])
    for name in lesson.values:
        if name in BUILT_IN:
            source.refuse(("values", name), "every lesson has a value of that name already")
    if lesson.owns != type(lesson.owns)() and "docker" not in lesson.requires:
        source.refuse(("owns",), "only lessons that require docker own names")
    _check_checks(lesson, source)
    _check_references(lesson, source)
    _check_values(source, source.data, (), {*lesson.values, *BUILT_IN})


def check_texts(lesson: LessonFile, texts: LessonTexts, source: Source) -> None:
    """All rules of ``en.yml`` and ``el.yml``."""
    _same_keys(source, "checks", texts.checks, [check.id for check in lesson.checks])
    _same_keys(source, "breaks", texts.breaks, [item.id for item in lesson.breaks])
    for item in lesson.breaks:
        if item.id not in texts.causes:
            source.refuse(("causes",), f"nothing is said of {item.id}; every break is a cause")
    known = {*lesson.values, *BUILT_IN}
    for where, text in _strings(source.data, ()):
        for match in PLACEHOLDER.finditer(text):
            if match[1] not in known:
                source.refuse(where, f"no value {match[0]}{_nearest(match[1], sorted(known))}")
    for check in lesson.checks:
        for tier, hint in enumerate(texts.checks[check.id].hints):
            for command in check.solve:
                if _gives_away(hint, command):
                    source.refuse(("checks", check.id, "hints", tier), "gives the answer away; that is for tier 3")


def _gives_away(hint: str, command: str) -> bool:
    """Whether a hint holds a command's words; a line of a script counts when it is more than a word or two."""
    squeezed = " ".join(hint.replace("`", "").split())
    lines = [" ".join(line.split()) for line in command.splitlines()]
    return any(line in squeezed for line in lines if len(line.split()) > 2)


def _check_checks(lesson: LessonFile, source: Source) -> None:
    before: list[str] = []
    for index, check in enumerate(lesson.checks):
        where: Where = ("checks", index)
        try:
            function = probes.get(check.probe)
        except KeyError:
            near = _nearest(check.probe, probes.names())
            source.refuse((*where, "probe"), f"no probe {check.probe}{near}")
        if wrong := probes.arguments_error(function, check.with_):
            source.refuse((*where, "with", wrong[0]), f"{check.probe}: {wrong[0]}: {wrong[1]}")
        for need, name in enumerate(check.needs):
            if name not in before:
                source.refuse((*where, "needs", need), f"no check {name} before this one{_nearest(name, before)}")
        if not check.solve and not check.needs:
            source.refuse(where, "has neither solve nor needs, so nothing would satisfy it")
        before.append(check.id)


def _check_references(lesson: LessonFile, source: Source) -> None:
    checks = [check.id for check in lesson.checks]
    for kind in ("near_misses", "breaks"):
        for index, item in enumerate(getattr(lesson, kind)):
            if item.fails not in checks:
                near = _nearest(item.fails, checks)
                source.refuse((kind, index, "fails"), f"no check {item.fails}{near}")


def _check_values(source: Source, data: Any, where: Where, known: set[str]) -> None:
    for inner, text in _strings(data, where):
        for match in VALUE.finditer(text):
            if match[1] not in known | GO_WORDS:
                source.refuse(inner, f"no value {match[0]}{_nearest(match[1], sorted(known))}")


def _strings(data: Any, where: Where) -> Iterator[tuple[Where, str]]:
    if isinstance(data, str):
        yield where, data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _strings(value, (*where, str(key)))
    elif isinstance(data, Sequence):
        for index, value in enumerate(data):
            yield from _strings(value, (*where, index))


def _unique(source: Source, kind: str, ids: Sequence[str]) -> None:
    for index, name in enumerate(ids):
        if name in ids[:index]:
            source.refuse((kind, index, "id"), f"{name} is there already")


def _same_keys(source: Source, kind: str, given: Mapping[str, object], wanted: Sequence[str]) -> None:
    for name in given:
        if name not in wanted:
            source.refuse((kind, name), f"the lesson has no such {kind[:-1]}{_nearest(name, wanted)}")
    for name in wanted:
        if name not in given:
            source.refuse((kind,), f"nothing is said of {name}")


def _nearest(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; nearest: {found[0]}" if found else ""
