"""What a check says: the finding of a probe (messages by id) and the result made of it in one language."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

Value: TypeAlias = "str | int | float | Text"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Status(enum.StrEnum):
    """How a check came out. ``blocked``: an earlier one must pass first. ``unknown``: it could not be looked at."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Text:
    """A message of the catalogues ``texts/*.yml``: its id and what fills its placeholders (which may be texts)."""

    id: str
    values: Mapping[str, Value] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True)
class Finding:
    """What a probe saw. ``cause``: name of the reason it recognised; a lesson explains causes by that name."""

    status: Status
    found: Text
    wanted: Text
    cause: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


def passed(found: Text, wanted: Text, **evidence: Any) -> Finding:
    """It is as wanted."""
    return Finding(Status.PASS, found, wanted, None, evidence)


def failed(found: Text, wanted: Text, cause: str | None = None, **evidence: Any) -> Finding:
    """It is not as wanted; ``evidence``: facts for programs (JSON types)."""
    return Finding(Status.FAIL, found, wanted, cause, evidence)


def unknown(found: Text, wanted: Text, **evidence: Any) -> Finding:
    """It could not be looked at, which is never the learner's fault."""
    return Finding(Status.UNKNOWN, found, wanted, None, evidence)


@dataclass(frozen=True)
class Result:
    """A check's answer in one language. ``why`` and ``next`` are empty for a check that passes."""

    id: str
    status: Status
    title: str
    found: str
    wanted: str
    why: str
    next: str
    cause: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, keys as the fields."""
        return {
            "id": self.id,
            "status": str(self.status),
            "title": self.title,
            "found": self.found,
            "wanted": self.wanted,
            "why": self.why,
            "next": self.next,
            "cause": self.cause,
            "evidence": dict(self.evidence),
        }
