"""The page on writing lessons says what the schema says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from limani.lab import probes
from limani.lab.lesson import (
    Alternative,
    Break,
    BreakTexts,
    CauseTexts,
    Check,
    CheckTexts,
    LessonFile,
    LessonTexts,
    NearMiss,
    Owns,
    Step,
    Strict,
)
from limani.lab.probes.__main__ import lines

DOCS = Path(__file__).parents[3] / "docs"


def keys(section: str, lang: str = "en") -> set[str]:
    """The words in code font in the first column of the table of a section."""
    text = (DOCS / lang / "developing/lessons.md").read_text()
    part = text[text.index(f"{{#{section}}}") :].split("\n#")[0]
    return {
        key
        for line in part.splitlines()
        if line.startswith("| `")
        for key in re.findall(r"`(\w+)`", line.split("|")[1])
    }


def fields(*structs: type[Strict]) -> set[str]:
    return {name for struct in structs for name in struct.__struct_encode_fields__}


@pytest.mark.parametrize("lang", ["en", "el"])
@pytest.mark.parametrize(
    ("section", "structs"),
    [
        ("lesson-yml", [LessonFile]),
        ("steps", [Step]),
        ("checks", [Check]),
        ("alternatives-near-misses-faults", [Alternative, NearMiss, Break]),
        ("texts", [LessonTexts]),
    ],
)
def test_tables_have_the_fields_of_the_schema(lang: str, section: str, structs: list[type[Strict]]) -> None:
    """Every key a lesson may have is explained, and no other."""
    assert keys(section, lang) == fields(*structs)


def test_the_page_names_all_inner_fields() -> None:
    """Fields of texts and of owns are named where they belong."""
    text = (DOCS / "en/developing/lessons.md").read_text()
    for name in fields(CheckTexts, CauseTexts, BreakTexts, Owns):
        assert f"`{name}`" in text


def test_the_list_of_probes_has_all_of_them() -> None:
    """``python -m limani.lab.probes`` tells of each probe its parameters and what it asks."""
    found = lines()
    assert len(found) == len(probes.names())
    for line, name in zip(found, probes.names(), strict=True):
        head, about = line.split("\n")
        assert head.startswith(f"{name}(")
        assert about.strip()
