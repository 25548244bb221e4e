"""A page and a lesson say the same in English and in Greek: sections, code, links, figures; no page is left behind."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import limani.errors
from docs import translations
from docs.pages import benchmarks, errors
from tests.docs.prose import FRONT, ROOT, inline

EN, EL = ROOT / "docs/en", ROOT / "docs/el"
MADE = {"benchmarks.md"}  # the Greek page is made from the English one
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*")
# One of them says in words what the other says in digits; Greek has "2" where English has "second".
SMALL = {str(number) for number in range(13)}

PAIRS = [(path, EL / path.relative_to(EN)) for path in sorted(EN.rglob("*.md")) if path.name not in MADE]
PAIRS += [(path, path.parent / "el.md") for path in sorted((ROOT / "labs").glob("*/en.md"))]


def shape(text: str) -> dict[str, object]:
    """What a page and its translation have in common."""
    text = FRONT.sub("", text)
    fences = FENCE.findall(text)
    open_text = FENCE.sub("", text)
    return {
        "headings": re.findall(r"^(#+) .*?(\{#[\w-]+\})?$", open_text, re.MULTILINE),
        "code": [fence for fence in fences if not fence.startswith("```mermaid")],
        "diagrams": len([fence for fence in fences if fence.startswith("```mermaid")]),
        "links": sorted(re.findall(r"\]\(([^)]*)\)|(<https?:[^>]*>)", open_text)),
        "rows": len(re.findall(r"^\|", open_text, re.MULTILINE)),
        "items": len(re.findall(r"^ *(?:\*|\d+\.) ", open_text, re.MULTILINE)),
    }


def figures(text: str) -> set[str]:
    """The numbers in the prose and in code, with a decimal point whatever the language."""
    prose = inline(FENCE.sub("", FRONT.sub("", text)))
    return {found.replace(",", ".") for found in NUMBER.findall(prose)} - SMALL


@pytest.mark.parametrize(("english", "greek"), PAIRS, ids=lambda path: str(path.relative_to(ROOT)))
def test_both_have_the_same_shape(english: Path, greek: Path) -> None:
    """Headings with their ids, code, links, rows of tables, items of lists and figures are the same."""
    one, other = english.read_text(encoding="utf-8"), greek.read_text(encoding="utf-8")
    assert shape(one) == shape(other)
    assert figures(one) == figures(other)


def test_no_translation_is_stale() -> None:
    """Each English page has a Greek one that was looked at since the English one last changed, and the reverse."""
    behind = {name: why for name, why in translations.stale().items() if name not in MADE}
    assert behind == {}, "bring the Greek page up to date, then: python -m docs.translations --stamp docs/el/PAGE"


def test_every_measurement_has_a_greek_name() -> None:
    """No row of the Greek measurements is named in English, and its figures are the English page's."""
    rows = benchmarks.table(benchmarks.ENGLISH.read_text(encoding="utf-8"))
    assert rows
    for line in rows:
        name, value, *_ = (part.strip() for part in line.strip("|").split("|"))
        assert 'lang="en"' not in benchmarks.named("el", name), f"docs/texts.yml has no benchmarks.row for {name!r}"
        assert figures(benchmarks.named("el", name)) == figures(name)
        assert figures(benchmarks.figure(value)) == figures(value)


def test_every_error_is_in_greek() -> None:
    """Each error has a Greek meaning and hint, made of the English ones it has now; none is left over."""
    classes = errors.error_classes()
    behind = {f"{error.code}: of {errors.source(error)}" for error in classes if errors.greek(error) is None}
    assert behind == set(), "bring src/limani/errors.el.yml up to date"
    assert set(errors.translations()) == {error.code for error in classes}
    assert 'lang="en"' not in errors.page("el")


def test_a_changed_error_is_english_in_greek(monkeypatch: pytest.MonkeyPatch) -> None:
    """Greek that no longer says what the English says is not shown; the English is, marked as such."""
    monkeypatch.setattr(limani.errors.BadInput, "default_hint", "Something new.")
    assert '<span lang="en">Something new.</span>' in errors.page("el")


def test_every_heading_has_an_id_of_its_own() -> None:
    """No heading leaves its anchor to chance, and no id stands for two."""
    for english, _ in PAIRS:
        headings = re.findall(r"^#+ .*$", FENCE.sub("", english.read_text(encoding="utf-8")), re.MULTILINE)
        ids = [found[1] if (found := re.search(r"\{#([\w-]+)\}$", heading)) else heading for heading in headings]
        assert [name for name, times in Counter(ids).items() if times > 1 or name.startswith("#")] == [], english


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("## A {#a}\n", "## Α {#b}\n"),
        ("```sh\nls\n```\n", "```sh\nls -l\n```\n"),
        ("[a](b.md)", "[α](c.md)"),
        ("| a |\n| b |\n", "| α |\n"),
        ("* a\n* b\n", "* α\n"),
    ],
)
def test_a_difference_is_found(one: str, other: str) -> None:
    """Each thing that is compared can differ."""
    assert shape(one) != shape(other)


def test_figures_are_compared_whatever_the_decimal_mark() -> None:
    """6.4 in English is 6,4 in Greek; another figure is another one; versions count as well."""
    assert figures("in 6.4 s, 150 MB") == figures("σε 6,4 s, 150 MB") == {"6.4", "150"}
    assert figures("in 64 s") != figures("σε 46 s")
