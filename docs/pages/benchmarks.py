"""benchmarks.md in Greek: the figures are those of the English page, which ``make bench`` writes."""

from __future__ import annotations

import re
from pathlib import Path

from docs.pages.markup import english
from docs.texts import catalogue, text

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
    """A row in a language; its note, and a name nobody has translated, are marked as English."""
    name, value, limit, verdict, note = (part.strip() for part in line.strip("|").split("|"))
    shown = [named(lang, name), figure(value), figure(bound(lang, limit)), text(lang, "benchmarks." + WORDS[verdict])]
    return f"| {' | '.join([*shown, english(lang, note)])} |"


def named(lang: str, name: str) -> str:
    """What was measured, in a language; the numbers of the English name take their places in the other."""
    for key, texts in catalogue().items():
        if key.startswith("benchmarks.row."):
            pattern = re.escape(texts["en"]).replace(re.escape("{n}"), r"([\d.]+)")
            if found := re.fullmatch(pattern, name):
                return texts[lang].replace("{n}", "{}").format(*found.groups())
    return english(lang, name)


def bound(lang: str, limit: str) -> str:
    """A limit in a language."""
    for key in ("at-most", "at-least"):
        limit = limit.replace(text("en", f"benchmarks.{key}"), text(lang, f"benchmarks.{key}"))
    return limit


def figure(value: str) -> str:
    """A number as Greek writes it: a comma before the decimals; ``x`` means times."""
    return re.sub(r"(\d)\.(\d)", r"\1,\2", value).replace(" x", "×").replace(" bytes", " byte")
