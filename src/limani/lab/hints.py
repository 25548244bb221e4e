"""Hints in three tiers: where to look, what is wrong, the commands; for the first check that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limani.lab.actions import fill
from limani.lab.lesson import Lesson
from limani.lab.record import Result, Status
from limani.lab.state import Attempt
from limani.lab.texts import fill as fill_text

TIERS = 3


@dataclass(frozen=True)
class Hint:
    """A hint. ``text``: tiers 1 and 2; ``commands``: tier 3. ``earlier``: the texts of the tiers below."""

    check: str
    title: str
    tier: int
    text: str
    commands: tuple[str, ...]
    earlier: tuple[str, ...]

    @property
    def last(self) -> bool:
        """There is none after it."""
        return self.tier >= TIERS

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "check": self.check,
            "title": self.title,
            "tier": self.tier,
            "text": self.text,
            "commands": list(self.commands),
            "earlier": list(self.earlier),
            "last": self.last,
        }


def hint_for(lesson: Lesson, check_id: str, tier: int, started: Attempt, values: Mapping[str, str], lang: str) -> Hint:
    """The hint of that tier for that check. In a broken lesson tier 3 mends the break where it shows."""
    said = lesson.texts[lang].checks[check_id]
    texts = tuple(fill_text(text, values, lang) for text in said.hints)
    commands: Sequence[str] = ()
    if tier >= TIERS:
        commands = commands_for(lesson, check_id, started)
    return Hint(
        check=check_id,
        title=fill_text(said.title, values, lang),
        tier=min(tier, TIERS),
        text=texts[tier - 1] if tier < TIERS else "",
        commands=tuple(fill(command, values) for command in commands),
        earlier=texts[: tier - 1],
    )


def commands_for(lesson: Lesson, check_id: str, started: Attempt) -> tuple[str, ...]:
    """What satisfies the check: the fix of the break that is in, else its own commands or those of what it needs."""
    if started.broken:
        break_ = lesson.break_(started.broken)
        if break_.fails == check_id:
            return break_.fix
    check = lesson.check(check_id)
    if check.solve or not check.needs:
        return check.solve
    return commands_for(lesson, check.needs[-1], started)


def first_open(results: Sequence[Result]) -> str | None:
    """The check a learner should look at now: the first that fails, else the first that does not pass."""
    failing = [result.id for result in results if result.status == Status.FAIL]
    others = [result.id for result in results if result.status != Status.PASS]
    return next(iter(failing + others), None)
