"""Where lessons are found: the folder LIMANI_LABS names, the clone's ``labs/``, the copy in the installed package."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

import msgspec

from limani.errors import LessonUnknown
from limani.lab import rules, schema
from limani.lab.lesson import LANGUAGES, Lesson, LessonFile, LessonTexts, Outputs

_FOLDER = re.compile(r"^(\d\d)-([a-z][a-z0-9-]*)$")


def root() -> Path:
    """The folder of lessons."""
    if named := os.environ.get("LIMANI_LABS"):
        return Path(named).absolute()
    here = Path(__file__).resolve()
    clone = here.parents[3] / "labs"
    return clone if here.parents[1].parent.name == "src" and clone.is_dir() else here.parent / "lessons"


def folders() -> list[Path]:
    """The folders of all lessons, by number."""
    top = root()
    if not top.is_dir():
        return []
    return sorted(path for path in top.iterdir() if _FOLDER.match(path.name) and (path / "lesson.yml").is_file())


def load(folder: Path) -> Lesson:
    """The lesson of a folder. Raises LessonInvalid naming file and line."""
    file, source = schema.read(folder / "lesson.yml", LessonFile)
    rules.check_lesson(file, source)
    texts = {}
    for lang in LANGUAGES:
        texts[lang], said = schema.read(folder / f"{lang}.yml", LessonTexts)
        rules.check_texts(file, texts[lang], said)
    return Lesson(**msgspec.structs.asdict(file), folder=folder, texts=texts)


def load_all() -> list[Lesson]:
    """All lessons, by number. Raises LessonInvalid for the first one that is not right."""
    return [load(folder) for folder in folders()]


def find(name: str) -> Lesson:
    """The lesson of that id, number or folder name. Raises LessonUnknown naming the nearest one."""
    known = folders()
    for folder in known:
        number, _, identity = folder.name.partition("-")
        if name in (identity, number, folder.name, str(int(number))):
            return load(folder)
    ids = [folder.name.partition("-")[2] for folder in known]
    near = difflib.get_close_matches(name, ids, n=1, cutoff=0.4)
    did = f" The nearest is {near[0]}." if near else ""
    raise LessonUnknown(f"There is no lesson {name!r} in {root()}.{did}", lesson=name)


def outputs(folder: Path) -> Outputs | None:
    """What the lesson's steps printed when they were last captured; None if they never were."""
    path = folder / "outputs.yml"
    return schema.read(path, Outputs)[0] if path.exists() else None
