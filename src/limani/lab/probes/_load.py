"""The record that a load-making Pod keeps in its log: a line whenever the answers change.

``now A``: answers are A from here on. ``steady A``: ten of them in a row. ``was A N``: that spell is over after N
answers. A is a version, or ``lost`` for a request without an answer. A Pod that asks ten times a second thus logs
next to nothing while all is quiet::

    now 1
    steady 1
    was 1 82
    now 2
"""

from __future__ import annotations

from dataclasses import dataclass

LOST = "lost"


@dataclass(frozen=True)
class Change:
    """Requests between the last spell of one answer and the first steady one of the next."""

    answered: int
    lost: int


def last_change(log: str, before: str, after: str) -> Change | None:
    """The last change from steady ``before`` to steady ``after`` that came to an end; None if there was none."""
    found: Change | None = None
    spells: list[tuple[str, int]] | None = None  # those since the last steady ``before``, its own first
    for words in (line.split() for line in log.splitlines()):
        match words:
            case ["steady", state] if state == before:
                spells = []
            case ["steady", state] if state == after and spells is not None:
                found, spells = _count(spells[1:]), None
            case ["steady", state] if state != LOST:
                spells = None
            case ["was", state, count] if spells is not None and count.isdigit():
                spells.append((state, int(count)))
    return found


def last_answer(log: str) -> str:
    """What is answered now; ``-`` where nothing was asked yet."""
    return next((line.split()[1] for line in reversed(log.splitlines()) if line.startswith("now ")), "-")


def _count(spells: list[tuple[str, int]]) -> Change:
    lost = sum(count for state, count in spells if state == LOST)
    return Change(sum(count for _, count in spells) - lost, lost)
