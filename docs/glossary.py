"""The glossary: one list of words (``glossary.yml``) for the pages, the tooltips, the search and the linter."""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path

import msgspec

SOURCE = Path(__file__).resolve().parent / "glossary.yml"
ARTICLE = re.compile(r"^(ο|η|το) ")
BRACKETS = re.compile(r" \([^)]*\)$")

HEAD = {
    "en": """# Glossary {#glossary}

The words of the lessons and of this site, with their Greek counterparts. Kinds of Kubernetes objects (Pod, Service)
are written as in YAML.
""",
    "el": """# Γλωσσάρι {#glossary}

Οι λέξεις των μαθημάτων και του ιστότοπου, με τις αγγλικές τους. Όσες χρησιμοποιούνται όπως είναι, με λατινικά
γράμματα, παίρνουν ελληνικό άρθρο και δεν κλίνονται: το Pod, τα Pod, του Pod. Τα είδη των αντικειμένων του Kubernetes
γράφονται όπως στο YAML.
""",
}


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One word; see the head of ``glossary.yml``."""

    id: str
    en: str
    el: str
    latin: bool
    definition_en: str
    definition_el: str
    synonyms_en: tuple[str, ...]
    synonyms_el: tuple[str, ...]
    tooltip: bool = True
    forms_el: tuple[str, ...] = ()

    def name(self, lang: str) -> str:
        """The word without the Greek article or the English "to"."""
        return ARTICLE.sub("", self.el) if lang == "el" else self.en.removeprefix("to ")

    def bare(self, lang: str) -> str:
        """The word alone, without what stands in brackets behind it."""
        return BRACKETS.sub("", self.name(lang))

    def forms(self, lang: str) -> tuple[str, ...]:
        """The word as pages have it: alone, and in the plural or the cases of Greek."""
        word = self.bare(lang)
        if lang == "el":
            return (word, *self.forms_el)
        return (word, f"{word[:-1]}ies" if word.endswith("ry") else f"{word}s")

    @property
    def exact(self) -> bool:
        """Whether only the form with a capital is meant: a Secret is a kind, a secret is not. A pod is a Pod."""
        return self.en[0].isupper() and self.id != "pod"

    def definition(self, lang: str) -> str:
        """What it means, one or two sentences."""
        return self.definition_el if lang == "el" else self.definition_en

    def synonyms(self, lang: str) -> tuple[str, ...]:
        """What else a reader may call it."""
        return self.synonyms_el if lang == "el" else self.synonyms_en


@functools.cache
def terms() -> tuple[Term, ...]:
    """All words, in the order of the file."""
    return msgspec.yaml.decode(SOURCE.read_bytes(), type=tuple[Term, ...])


def page(lang: str) -> str:
    """The glossary page (Markdown) of a language, in its alphabet's order; the ids are the same in both."""
    ordered = sorted(terms(), key=lambda term: fold(term.name(lang)))
    return HEAD[lang] + "".join(entry(term, lang) for term in ordered)


def entry(term: Term, lang: str) -> str:
    """One word: heading, meaning, the word of the other language, synonyms."""
    if lang == "el":
        other = f'Αγγλικά: <span lang="en">{term.en}</span>.'
        more = f" Συναφείς όροι: {', '.join(term.synonyms_el)}." if term.synonyms_el else ""
    else:
        other = f'Greek: <span lang="el">{term.el}</span>.'
        more = f" Related words: {', '.join(term.synonyms_en)}." if term.synonyms_en else ""
    return f"\n## {term.name(lang)} {{#{term.id}}}\n\n{term.definition(lang)}\n\n{other}{more}\n"


def tooltips(lang: str) -> dict[str, str]:
    """Word to meaning, for the tooltips of a language: the words that are not of everyday use, in all their forms."""
    return {form: term.definition(lang) for term in terms() if term.tooltip for form in term.forms(lang)}


def synonyms(lang: str) -> dict[str, tuple[str, ...]]:
    """What a reader may type (folded) to the words the pages use instead, for the search of a language."""
    found: dict[str, tuple[str, ...]] = {}
    for term in terms():
        for typed in (*term.synonyms(lang), term.en if lang == "el" else term.bare("el")):
            words = (*found.get(fold(typed), ()), term.bare(lang))
            if fold(typed) != fold(term.bare(lang)):
                found[fold(typed)] = tuple(dict.fromkeys(words))
    return found


def fold(text: str) -> str:
    """Lower case without accents and final sigma: how a dictionary sorts and a search compares."""
    plain = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in plain if not unicodedata.combining(c)).replace("ς", "σ")
