"""benchmarks.md in Greek: the figures are those of the English page, which ``make bench`` writes."""

from __future__ import annotations

import re
from pathlib import Path

from docs.pages.markup import english
from docs.texts import text

ENGLISH = Path(__file__).resolve().parents[1] / "en" / "benchmarks.md"
MEASURED = re.compile(r"^Measured on (\S+) with Limani (\S+) on (.*)\.$", re.MULTILINE)
WORDS = {"ok": "verdict.ok", "**broken**": "verdict.broken"}


def pages(lang: str) -> dict[str, str]:
    """The Greek page; the English one is in the repository."""
    if lang == "en":
        return {}
    source = ENGLISH.read_text(encoding="utf-8")
    measured = MEASURED.search(source)
    assert measured is not None, f"{ENGLISH.name} does not say when it was measured"
    date, version, machine = measured.groups()
    head = [text(lang, f"benchmarks.{key}") for key in ("what", "measured", "limit", "verdict", "from")]
    return {
        "benchmarks.md": "\n".join(
            [
                f"# {text(lang, 'benchmarks.title')} {{#benchmarks}}\n",
                text(lang, "benchmarks.intro", date=date, version=version, machine=english(lang, machine)) + "\n",
                f"| {' | '.join(head)} |\n|---|---|---|---|---|",
                *(row(lang, line) for line in table(source)),
                "\n" + text(lang, "benchmarks.how"),
            ]
        )
        + "\n"
    }


def table(source: str) -> list[str]:
    """The rows of the page's table without its head."""
    return [line for line in source.splitlines() if line.startswith("|")][2:]


def row(lang: str, line: str) -> str:
    """A row with its verdict translated and the rest marked as English."""
    name, value, limit, verdict, note = (part.strip() for part in line.strip("|").split("|"))
    shown = [english(lang, name), english(lang, value), english(lang, limit)]
    return f"| {' | '.join([*shown, text(lang, 'benchmarks.' + WORDS[verdict]), english(lang, note)])} |"
