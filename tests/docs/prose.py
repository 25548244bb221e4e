"""The sentences of the documentation, the lessons and the messages, without code, as the language linter reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "en": ("docs/en/**/*.md", "labs/*/en.md", "README.md", "CONTRIBUTING.md"),
    "el": ("docs/el/**/*.md", "labs/*/el.md"),
}
MESSAGES = {
    "en": ("labs/*/en.yml", "src/limani/lab/texts/en*.yml"),
    "el": ("labs/*/el.yml", "src/limani/lab/texts/el*.yml", "src/limani/errors.el.yml"),
}
SHARED = ("docs/glossary.yml", "docs/texts.yml")  # both languages in one file, told apart by the key

FENCE = re.compile(r"^\s*(```+|~~~+)")
FRONT = re.compile(r"\A---\n.*?^---\n", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
ENGLISH = re.compile(r'<(\w+) [^>]*lang="(?:en|el)"[^>]*>.*?</\1>', re.DOTALL)
TAG = re.compile(r"</?[a-zA-Z][^>\n]*>")
TARGET = re.compile(r"(?<=\])\([^)\n]*\)|(?<=\])\[[^\]\n]*\]")
ADDRESS = re.compile(r"<https?:[^>]*>|https?://[^\s)]*[^\s).,;·]")
ATTRIBUTES = re.compile(r"\{[#.:][^}\n]*\}")
PLACE = re.compile(r"\{\{.*?\}\}|\{[\w.-]*\}")
WORDLESS = "¤"  # stands for code: not a word, not a space


@dataclass(frozen=True)
class Passage:
    """A piece of prose: its file, the line it begins at, its text without code."""

    path: Path
    line: int
    text: str

    def where(self, offset: int = 0) -> str:
        """File and line of a character of the text."""
        shown = self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path
        return f"{shown}:{self.line + self.text.count(chr(10), 0, offset)}"


def passages(lang: str) -> list[Passage]:
    """All prose of a language in the repository."""
    found: list[Passage] = []
    for pattern in PAGES[lang]:
        found += [page(path) for path in sorted(ROOT.glob(pattern))]
    for pattern in MESSAGES[lang]:
        for path in sorted(ROOT.glob(pattern)):
            found += messages(path)
    for name in SHARED:
        found += messages(ROOT / name, lang)
    return found


def page(path: Path) -> Passage:
    """A Markdown page; lines keep their numbers."""
    return Passage(path, 1, markdown(path.read_text(encoding="utf-8")))


def markdown(text: str) -> str:
    """Prose of Markdown: front matter, fences, code, tags and targets of links become blanks of as many lines."""
    text = FRONT.sub(blank, text)
    lines, fence = [], ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
            lines.append("")
        elif mark:
            fence = mark[1]
            lines.append("")
        else:
            lines.append(line)
    return inline("\n".join(lines))


def inline(text: str) -> str:
    """The same without what is code within a line."""
    text = CODE.sub(lambda found: WORDLESS + blank(found), text)
    text = ADDRESS.sub(WORDLESS, text)
    for pattern in (COMMENT, ENGLISH, TAG, TARGET, ATTRIBUTES):
        text = pattern.sub(blank, text)
    return PLACE.sub(WORDLESS, text)


def blank(found: re.Match[str]) -> str:
    """As many line ends as were found."""
    return "\n" * found[0].count("\n")


def messages(path: Path, lang: str | None = None) -> list[Passage]:
    """The strings of a YAML file; with a language only those under its keys (``en``, ``definition_en``)."""
    tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    if tree is None:
        return []
    return [Passage(path, node.start_mark.line + 1, inline(node.value)) for node in strings(tree, lang, lang is None)]


def strings(node: yaml.Node, lang: str | None, wanted: bool) -> Iterator[yaml.ScalarNode]:
    """The string values below a node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            mine = lang is not None and key.value in (lang, f"definition_{lang}")
            yield from strings(value, lang, wanted or mine)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from strings(value, lang, wanted)
    elif isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" and wanted:
        yield node
