"""Spelling by hunspell: Debian's dictionaries and a list of our own technical words for each language."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.language import GREEK
from tests.docs.prose import Passage

HERE = Path(__file__).resolve().parent
DICTIONARIES = {"en": "en_US", "el": "el_GR"}
# What is no word: paths, options, versions, names in capitals or with capitals inside.
CHUNK = re.compile(r"[^\s|()\[\]«»*,;:·!?\"“”]+")
NO_WORD = re.compile(r"[\d_=@$<>¤~#\\+&%^]|\.\w|^[-./]|^[^a-z" + GREEK + r"]+$|[a-z][A-Z]")
WITH_COMMA = re.compile(r"\b[όΌ],τι\b")  # the one Greek word with a comma in it
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def own_words(lang: str) -> list[str]:
    """Our list for a language, as it stands in the file."""
    return (HERE / f"words-{lang}.txt").read_text(encoding="utf-8").split("\n")[:-1]


def words(passage: Passage, lang: str) -> Iterator[tuple[int, str]]:
    """The words of a passage in a language's alphabet with their places; Greek pages have words of both."""
    text = WITH_COMMA.sub(lambda found: " " * len(found[0]), passage.text)
    for chunk in CHUNK.finditer(text):
        bare = chunk[0].strip(".'’…-–—") if not chunk[0].startswith(("-", ".")) else chunk[0]
        if NO_WORD.search(bare):
            continue
        for found in WORD.finditer(chunk[0]):
            word = found[0].replace("’", "'").removesuffix("'s")
            if bool(re.search(f"[{GREEK}]", word)) == (lang == "el"):
                yield chunk.start() + found.start(), word


def unknown(found: set[str], lang: str) -> set[str]:
    """The words hunspell does not know."""
    command = ["hunspell", "-i", "utf-8", "-d", DICTIONARIES[lang], "-l"]
    done = subprocess.run(command, input="\n".join(sorted(found)), capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")) - {""}


@dataclass(frozen=True)
class Report:
    """Words that are wrong, with the first place of each, and words of our list that nothing needs."""

    wrong: dict[str, str]
    unused: list[str]


def look(texts: list[Passage], lang: str, own: list[str] | None = None) -> Report:
    """Check the words of a language's alphabet against its dictionary and our list."""
    own = own_words(lang) if own is None else own
    places: dict[str, str] = {}
    for text in texts:
        for offset, word in words(text, lang):
            places.setdefault(word, text.where(offset))
    needed = unknown(set(places), lang)
    # At the beginning of a sentence a word of the list has a capital letter.
    wrong = {word: places[word] for word in sorted(needed) if not {word, small(word)} & set(own)}
    used = needed | {small(word) for word in needed}
    return Report(wrong, [word for word in own if word not in used])


def small(word: str) -> str:
    """With a small first letter."""
    return word[0].lower() + word[1:]
