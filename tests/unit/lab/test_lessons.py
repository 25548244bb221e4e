"""The lessons that come with Limani keep the rules of the course."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from limani.lab import library, page
from limani.lab.lesson import LANGUAGES

ROOT = Path(__file__).parents[3]
FOLDERS = sorted((ROOT / "labs").glob("[0-9][0-9]-*"))
pytestmark = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def test_it_is_read_without_complaint(folder: Path) -> None:
    """Schema, references, probes, values and texts are right, and the engine finds it by its name."""
    lesson = library.load(folder)
    assert f"{lesson.number:02}-{lesson.id}" == folder.name


def test_it_is_proved_from_all_sides(folder: Path) -> None:
    """At least two whole solutions besides its own (the playbook counts), three near misses, one fault."""
    lesson = library.load(folder)
    assert len(lesson.alternatives) + (folder / "solve.yml").exists() >= 2
    assert len(lesson.near_misses) >= 3
    assert len(lesson.breaks) >= 1
    assert len({miss.fails for miss in lesson.near_misses}) >= min(2, len(lesson.checks))


def test_its_pages_are_complete_and_equal(folder: Path) -> None:
    """Both pages have the same headings by id and level, show the same steps and files in the same order."""
    lesson = library.load(folder)
    for lang in LANGUAGES:
        assert page.problems(lesson, lang) == []
    shapes = []
    for lang in LANGUAGES:
        markdown = lesson.markdown(lang)
        headings = [(heading.level, heading.id) for heading in page.headings(markdown)]
        fences = [
            (fence.kind, fence.body.strip() if fence.kind in ("step", "file") else "")
            for fence in page.fences(markdown)
        ]
        shapes.append((headings, fences))
    assert shapes[0] == shapes[1]


def test_every_shown_step_is_on_the_page(folder: Path) -> None:
    """What is captured is shown, in the order it was run."""
    lesson = library.load(folder)
    shown = page.shown_steps(lesson, "en")
    assert shown == [step.id for step in lesson.steps if step.shown and step.id in shown]
    assert [step.id for step in lesson.steps if step.shown and step.id not in shown] == []


def test_every_shown_step_has_a_fresh_capture(folder: Path) -> None:
    """Outputs on the page are those of the very commands shown."""
    lesson = library.load(folder)
    outputs = library.outputs(folder)
    assert outputs, f"run: python -m tests.lab.capture {lesson.id}"
    stale = [
        step.id
        for step in lesson.steps
        if step.shown
        and (step.id not in outputs.steps or outputs.steps[step.id].command_sha256 != page.digest(step.run))
    ]
    assert stale == [], f"run: python -m tests.lab.capture {lesson.id}"
    assert set(outputs.steps) == {step.id for step in lesson.steps if step.shown}
    assert outputs.versions


def test_both_languages_say_the_same_things(folder: Path) -> None:
    """The same checks, causes and faults in both languages, and no Greek text left in English."""
    lesson = library.load(folder)
    english, greek = (lesson.texts[lang] for lang in LANGUAGES)
    for part in ("checks", "causes", "breaks"):
        assert getattr(english, part).keys() == getattr(greek, part).keys()
    for name, said in english.checks.items():
        assert said.why != greek.checks[name].why
        assert said.next != greek.checks[name].next


def test_its_playbooks_are_there_and_mean_it(folder: Path) -> None:
    """start, reset and one per fault are a task of lab_lesson about this lesson; solve is a real playbook."""
    lesson = library.load(folder)
    states = {"start": ("started", None), "reset": ("reset", None)}
    states |= {f"break_{item.id}": ("broken", item.id) for item in lesson.breaks}
    present = {path.stem for path in folder.glob("*.yml")} - {"lesson", "en", "el", "outputs"}
    present -= {name for name in present if name.startswith("solve_")}  # parts of solve.yml
    assert present == {*states, "solve"}
    for name, (state, break_id) in states.items():
        (play,) = yaml.safe_load((folder / f"{name}.yml").read_text())
        (first, *rest) = play["tasks"]
        options = first["limani.nodes.lab_lesson"]
        assert str(options["lesson"]) == lesson.id
        assert options.get("state", "started") == state
        assert options.get("break_id") == break_id
        assert all("ansible.builtin.debug" in task for task in rest)
    text = (folder / "solve.yml").read_text()
    assert "limani.nodes.lab_lesson_info" in text
    assert "state: solved" not in text


def test_checks_look_at_behaviour(folder: Path) -> None:
    """No probe compares the text of YAML, and commands of the lesson need nothing a learner may not have."""
    lesson = library.load(folder)
    commands = [step.run for step in lesson.steps] + [command for check in lesson.checks for command in check.solve]
    for item in (*lesson.alternatives, *lesson.near_misses, *lesson.breaks):
        commands += item.run
    for item in lesson.breaks:
        commands += item.fix
    foreign = [
        (word, command)
        for command in commands
        for word in ("curl ", "jq ", "yq ", "python", "perl ", "helm ")
        if word in f" {command} ".replace("(", " ").split("limani.dev")[0]
    ]
    assert foreign == []
