"""How results and errors are printed: tables for people, JSON for programs."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
import msgspec

from limani.errors import LimaniError

F = TypeVar("F", bound=Callable[..., Any])


def output_option(function: F) -> F:
    """``-o table|json``; passed on as ``output``."""
    option = click.option(
        "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print the result."
    )
    return option(function)


def json(data: object) -> None:
    """Print as indented JSON on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in aligned columns, headers in capitals, as kubectl does."""
    lines = [[_capitals(header) for header in headers], *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headers))]
    for line in lines:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _capitals(text: str) -> str:
    """Capitals, which in Greek have no accents."""
    bare = unicodedata.normalize("NFD", text).replace("\u0301", "")
    return unicodedata.normalize("NFC", bare).upper()


def error(problem: LimaniError) -> None:
    """Print an error and what to do next on standard error."""
    click.echo(f"limani: {problem.message}", err=True)
    nodes = problem.fields.get("nodes")
    results = nodes.values() if isinstance(nodes, dict) else ()
    failures = [result["error"] for result in results if isinstance(result, dict) and result.get("error")]
    # Nodes often fail for one reason: one hint for each kind of failure.
    for code, hint in {str(failure["code"]): str(failure["hint"]) for failure in reversed(failures)}.items():
        click.echo(f"  hint: {hint} [{code}]", err=True)
    if not failures:
        click.echo(f"  hint: {problem.hint} [{problem.code}]", err=True)


def size(count: float) -> str:
    """Bytes in decimal units: 5.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")
