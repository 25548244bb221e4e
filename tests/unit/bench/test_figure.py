"""Figures and their limits."""

from __future__ import annotations

import pytest

from bench.figure import Figure, line, markdown


@pytest.mark.parametrize(
    ("value", "sign", "limit", "ok"),
    [(1.0, "<=", 1, True), (1.1, "<=", 1, False), (3, ">=", 3, True), (2, ">=", 3, False)],
)
def test_limits_hold_or_break(value: float, sign: str, limit: float, ok: bool) -> None:
    """A limit that is met exactly holds; one that is missed says so on the terminal and on the page."""
    figure = Figure("x", value, sign, limit, "s")
    assert figure.ok is ok
    assert line(figure).startswith("ok" if ok else "BROKEN")
    assert ("**broken**" in markdown([figure])) is not ok
