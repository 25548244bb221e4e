"""Mistakes in a lesson are refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from limani.errors import LessonInvalid, LessonUnknown
from limani.lab import library

NOT_A_MISTAKE = "docker ps --format '{{.Names}}'"


def spoil(labs: Path, file: str, old: str, new: str) -> int:
    """Replace the first ``old`` in a file of the toy lesson; returns its line."""
    path = labs / "00-toy" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("lesson.yml", "level: beginner", "level: easy", "level: Invalid enum value 'easy'"),
        ("lesson.yml", "minutes: 5", "minutes: five", "minutes: Expected `int`, got `str`"),
        ("lesson.yml", "minutes: 5", "minuets: 5", "minuets: there is no such key"),
        ("lesson.yml", "number: 0", "number: 3", "number: the folder must be called 03-toy, not 00-toy"),
        ("lesson.yml", "covers: [E6]", "covers: [E58]", "covers[0]: there is no E58; the last one is E57"),
        ("lesson.yml", "docker.running", "docker.runing", "no probe docker.runing; nearest: docker.running"),
        ("lesson.yml", "with: {container: toy}", "with: {name: toy}", "no such parameter; there are container"),
        ("lesson.yml", "with: {container: toy}", "with: {}", "container: missing"),
        ("lesson.yml", "with: {container: toy}", "with: {container: 3}", "Expected `str`, got `int`"),
        ("lesson.yml", "needs: [running]", "needs: [runing]", "no check runing before this one; nearest: running"),
        ("lesson.yml", "fails: logs", "fails: log", "no check log; nearest: logs"),
        ("lesson.yml", "{{ token }}", "{{ tokne }}", "no value {{ tokne }}; nearest: token"),
        ("lesson.yml", "- {id: silent", "- {id: stopped", "near_misses[1].id: stopped is there already"),
        ("lesson.yml", "requires: [docker]", "requires: [cluster]", "only lessons that require docker own names"),
        ("lesson.yml", "values: {token: random", "values: {address: random", "has a value of that name already"),
        ("lesson.yml", "minutes: 5", "minutes: 5\nminutes: 6", "minutes: given twice"),
        ("lesson.yml", "minutes: 5", "minutes: [5", "not YAML"),
        ("en.yml", "  running:", "  runnig:", "the lesson has no such check; nearest: running"),
        ("en.yml", "goal: Prove the engine.", "", "Object missing required field `goal`"),
        ("en.yml", "{workspace}", "{workspce}", "no value {workspce}; nearest: workspace"),
        ("el.yml", "  ended: {why", "  endet: {why", "nothing is said of ended; every break is a cause"),
        ("en.yml", "Look at its logs.", "Type `docker exec toy sh -c 'echo {{ greeting }} > /proc/1/fd/1'`", "tier 3"),
        ("en.yml", '["Look at its logs.", "The word is missing."]', '["Look at its logs."]', "length >= 2"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(labs: Path, file: str, old: str, new: str, words: str) -> None:
    """The message begins with the file and a line, and says what is wrong and where."""
    line = spoil(labs, file, old, new)
    with pytest.raises(LessonInvalid) as caught:
        library.find("toy")
    shown, number, rest = caught.value.message.split(":", 2)
    assert shown == f"labs/00-toy/{file}"
    assert words in rest
    # What is missing has the line of what it is missing in, and YAML's own complaints come where it gave up.
    if not any(word in rest for word in ("missing", "nothing is said", "not YAML", "twice", "own names")):
        assert abs(int(number) - line) <= 1
    assert caught.value.fields["line"] == int(number)


def test_a_missing_file_is_named(labs: Path) -> None:
    """A lesson without its Greek texts is refused by the file's name."""
    (labs / "00-toy" / "el.yml").unlink()
    with pytest.raises(LessonInvalid, match=r"labs/00-toy/el\.yml: the file is missing"):
        library.find("toy")


@pytest.mark.parametrize("name", ["toy", "0", "00", "00-toy"])
def test_lessons_are_found_by_name_and_number(labs: Path, name: str) -> None:
    """The id, the number with or without zeros, and the folder's name all mean the lesson."""
    assert library.find(name).id == "toy"


def test_an_unknown_lesson_names_the_nearest(labs: Path) -> None:
    """A typing error is answered with the lesson that may have been meant."""
    with pytest.raises(LessonUnknown, match="The nearest is toy-pod"):
        library.find("toypod")


def test_lessons_come_by_number(labs: Path) -> None:
    """All lessons of the folder, in the order of their numbers; other folders are not lessons."""
    (labs / "shared").mkdir()
    assert [lesson.id for lesson in library.load_all()] == ["toy", "toy-pod"]


def test_go_templates_are_no_values(labs: Path) -> None:
    """Docker's own braces are left alone."""
    assert NOT_A_MISTAKE in [step.run for step in library.find("toy").steps]
