"""What the site makes out of lessons, glossary and translations."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import markdown
import pytest
from markdown_it import MarkdownIt

from docs import glossary, translations
from docs.hooks import tooltips
from docs.pages import lessons
from docs.texts import LANGUAGES, catalogue
from limani.lab import library
from limani.lab import page as lab_page
from limani.lab.lesson import Capture, Lesson, Outputs

ROOT = Path(__file__).resolve().parents[2]
ELEMENTS = re.compile(r"<(h[1-6]|ul|ol|li|table|tr|pre|blockquote)\b")
LESSONS = library.folders()


@pytest.fixture
def lesson() -> Lesson:
    """A lesson that shows a step."""
    found = library.find("first-success")
    assert lab_page.shown_steps(found, "en")
    return found


def outputs(lesson: Lesson, **digests: str) -> Outputs:
    """Captures of all steps, with other hashes for those named."""
    steps = {
        step.id: Capture(command_sha256=digests.get(step.id, lab_page.digest(step.run)), exit=0, output="42 <b>\n")
        for step in lesson.steps
    }
    return Outputs(date="2026-11-21", versions={"docker": "20.10"}, steps=steps)


def with_outputs(monkeypatch: pytest.MonkeyPatch, found: Outputs | None) -> None:
    """Let lessons have these captures."""
    monkeypatch.setattr(library, "outputs", lambda _: found)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_steps_are_shown_with_command_output_versions_and_date(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch, lang: str
) -> None:
    """Each shown step appears with its command and what it printed, the page with date and versions."""
    with_outputs(monkeypatch, outputs(lesson))
    page = lessons.page(lang, lesson)
    assert "2026-11-21" in page
    assert "docker 20.10" in page
    assert page.count("42 <b>") == len(lab_page.shown_steps(lesson, lang))
    assert "```step" not in page
    assert "```file" not in page


def test_a_step_nobody_has_run_stops_the_build(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a capture, or with one of another command, there is no page; the error names lesson, step and remedy."""
    step = lab_page.shown_steps(lesson, "en")[0]
    for found in (None, outputs(lesson, **{step: "0" * 64})):
        with_outputs(monkeypatch, found)
        with pytest.raises(lessons.PageNotPossible, match=f"{step}.*tests.lab.capture {lesson.id}"):
            lessons.page("en", lesson)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("folder", LESSONS, ids=lambda folder: folder.name)
def test_both_renderers_see_the_same_page(folder: Path, lang: str) -> None:
    """The site's Markdown and CommonMark (the web terminal) make the same lists, tables and blocks of a lesson."""
    text = (folder / f"{lang}.md").read_text(encoding="utf-8")
    site = markdown.markdown(text, extensions=["attr_list", "tables", "pymdownx.superfences"])
    other = MarkdownIt("commonmark").enable("table").render(text)
    # Superfences put code into a table-less div with one pre each, as CommonMark does.
    assert Counter(ELEMENTS.findall(site)) == Counter(ELEMENTS.findall(other))


def test_every_text_of_the_site_is_in_both_languages() -> None:
    """No text of generated pages misses a language or has other values to fill in."""
    for key, texts in catalogue().items():
        assert set(texts) == set(LANGUAGES), key
        if texts["en"]:
            assert re.findall(r"\{\w+\}", texts["en"]) == re.findall(r"\{\w+\}", texts["el"]), key


def test_the_first_use_of_a_word_leads_to_the_glossary() -> None:
    """Only the first one, not in code, links or headings; with the meaning as its tooltip."""
    term = next(term for term in glossary.terms() if term.tooltip and term.bare("en") == "registry")
    html = "<h2>registry</h2><p><code>registry</code> <a>registry</a> a registry and a registry</p>"
    linked = tooltips.linked(html, "en", "../glossary.html")
    assert linked.count("<a class=") == 1
    assert f'a <a class="term" href="../glossary.html#{term.id}"' in linked
    assert linked.endswith("and a registry</p>")


def test_a_changed_english_page_makes_the_greek_one_stale(tmp_path: Path) -> None:
    """Missing, left over and outdated Greek pages are listed; stamping one after the change settles it."""
    for lang in LANGUAGES:
        (tmp_path / lang).mkdir()
    for name in ("a", "b"):
        (tmp_path / "en" / f"{name}.md").write_text(f"# {name}\n")
    greek = tmp_path / "el" / "a.md"
    greek.write_text("# α\n", encoding="utf-8")
    (tmp_path / "el" / "c.md").write_text("# γ\n", encoding="utf-8")
    assert set(translations.stale(tmp_path)) == {"a.md", "b.md", "c.md"}
    translations.stamp(greek, tmp_path)
    assert set(translations.stale(tmp_path)) == {"b.md", "c.md"}
    (tmp_path / "en" / "a.md").write_text("# a, and more\n")
    assert "changed" in translations.stale(tmp_path)["a.md"]
    translations.stamp(greek, tmp_path)
    assert greek.read_text(encoding="utf-8").count("source:") == 1
    assert greek.read_text(encoding="utf-8").endswith("# α\n")
