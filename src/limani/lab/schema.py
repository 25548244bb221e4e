"""Strict reading of a lesson's YAML: every mistake is refused with file and line.

``read`` turns a file into one of the structs of ``lesson.py``; ``rules.py`` holds what a schema cannot say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec
import yaml

from limani.errors import LessonInvalid

T = TypeVar("T", bound=msgspec.Struct)
Where = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_AT = re.compile(r" - at (?:`[a-z]+` in )?`\$(.*)`$")
_PART = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$")


class Source:
    """A YAML file: its data, and the line of each part of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = "/".join(path.parts[-3:])
        self.lines: dict[Where, int] = {(): 1}
        self.data = self._load()

    def refuse(self, where: Where, problem: str) -> NoReturn:
        """Raise LessonInvalid for the part ``where``, or for the nearest part around it that has a line."""
        line = self.line(where)
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
        text = f"{self.shown}:{line}: {place + ': ' if place else ''}{problem}"
        raise LessonInvalid(text, path=str(self.path), line=line)

    def line(self, where: Where) -> int:
        """The line of a part, or of the nearest part around it."""
        while where not in self.lines:
            where = where[:-1]
        return self.lines[where]

    def _load(self) -> Any:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise LessonInvalid(f"{self.shown}: the file is missing.", path=str(self.path)) from error
        except UnicodeDecodeError as error:
            raise LessonInvalid(f"{self.shown}: not UTF-8: {error.reason}.", path=str(self.path)) from error
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                self.refuse((), "the file is empty")
            self._note(node, ())
            return loader.construct_document(node)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            text = f"{self.shown}:{line}: not YAML: {error.problem or error.context}"
            raise LessonInvalid(text, path=str(self.path), line=line) from error
        finally:
            loader.dispose()

    def _note(self, node: yaml.Node, where: Where) -> None:
        """Remember the lines below ``node``; refuse keys given twice, which the data no longer shows."""
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.lines[*where, index] = item.start_mark.line + 1
                self._note(item, (*where, index))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*where, str(key.value))
                seen = inner in self.lines
                self.lines[inner] = key.start_mark.line + 1
                if seen:
                    self.refuse(inner, "given twice")
                self._note(value, inner)


def read(path: Path, kind: type[T]) -> tuple[T, Source]:
    """The file as a struct, and its source for further complaints. Raises LessonInvalid naming file and line."""
    source = Source(path)
    try:
        return msgspec.convert(source.data, kind), source
    except msgspec.ValidationError as error:
        _refuse(source, str(error), kind)


def _refuse(source: Source, message: str, kind: type[msgspec.Struct]) -> NoReturn:
    """Say msgspec's complaint with the line it is about."""
    found = _AT.search(message)
    where = tuple(_parts(found[1])) if found else ()
    if found and "[...]" in found[1]:
        before, _, after = found[1].partition("[...]")
        where = (*_parts(before), *_key(source, tuple(_parts(before)), message, kind), *_parts(after))
    problem = message[: found.start()] if found else message
    if unknown := _UNKNOWN.match(problem):
        where, problem = (*where, unknown[1]), "there is no such key"
    source.refuse(where, problem)


def _key(source: Source, where: Where, message: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    """Which key of the map at ``where`` (a field of the file) msgspec complains of, which it does not name itself."""
    entries = source.data[where[0]]
    for key, value in entries.items():
        try:
            msgspec.convert({**source.data, where[0]: {key: value}}, kind)
        except msgspec.ValidationError as error:
            if str(error) == message:
                yield str(key)
                return


def _parts(path: str) -> Iterator[str | int]:
    """``.checks[2].probe`` -> checks, 2, probe. Where the path does not name the key (``[...]``) it ends."""
    for part in _PART.finditer(path):
        if part[0] == "[...]":
            return
        yield int(part[2]) if part[2] else part[1]
