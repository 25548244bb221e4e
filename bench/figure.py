"""One measured figure with its limit, and how figures are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MB = 1_000_000


@dataclass(frozen=True)
class Figure:
    """``value`` must be at most (``<=``) or at least (``>=``) ``limit``; ``note`` says what it was made from."""

    name: str
    value: float
    sign: Literal["<=", ">="]
    limit: float
    unit: str
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the limit holds."""
        return self.value <= self.limit if self.sign == "<=" else self.value >= self.limit

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return f"{number(self.value)} {self.unit}"

    @property
    def bound(self) -> str:
        """The limit with its sign and unit."""
        return f"{'at most' if self.sign == '<=' else 'at least'} {number(self.limit)} {self.unit}"


def number(value: float) -> str:
    """Three to four digits, no more."""
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def markdown(figures: Sequence[Figure]) -> str:
    """A table for the documentation."""
    lines = ["| what | measured | limit | verdict | from |", "|---|---|---|---|---|"]
    lines += [f"| {f.name} | {f.shown} | {f.bound} | {verdict(f)} | {f.note} |" for f in figures]
    return "\n".join(lines) + "\n"


def verdict(figure: Figure) -> str:
    """One word for the table."""
    return "ok" if figure.ok else "**broken**"


def line(figure: Figure) -> str:
    """A figure on the terminal."""
    return f"{'ok    ' if figure.ok else 'BROKEN'} {figure.name}: {figure.shown} ({figure.bound}); {figure.note}"
