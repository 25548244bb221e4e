"""The catalogues of all languages say the same things."""

from __future__ import annotations

import re
import unicodedata

import pytest

from limani.errors import BadInput
from limani.lab import texts
from limani.lab.lesson import LANGUAGES
from limani.lab.record import Text

ENGLISH = texts.catalogue("en")


def test_all_catalogues_have_the_same_messages() -> None:
    """A message is in every language or in none."""
    for lang in LANGUAGES:
        assert texts.catalogue(lang).keys() == ENGLISH.keys()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_all_catalogues_have_the_same_placeholders(lang: str) -> None:
    """A message uses the same values in every language (a value may be left out of none)."""
    other = texts.catalogue(lang)
    differing = [
        key
        for key, text in ENGLISH.items()
        if set(texts.PLACEHOLDER.findall(text)) != set(texts.PLACEHOLDER.findall(other[key]))
    ]
    assert differing == []


def test_messages_are_texts_in_normal_form() -> None:
    """Every message is a non-empty string in NFC; Greek ones are not left in English."""
    for lang in LANGUAGES:
        for key, text in texts.catalogue(lang).items():
            assert isinstance(text, str), key
            assert text.strip(), key
            assert unicodedata.normalize("NFC", text) == text, key


def test_values_are_written_as_the_language_does() -> None:
    """Decimal comma in Greek, texts inside texts in the same language."""
    inner = Text("check.timeout", {"seconds": 1.5})
    assert texts.render(inner, "en") == "no answer within 1.5 seconds"
    outer = Text("check.unreachable", {"reason": inner})
    assert texts.render(outer, "el").endswith("1,5 δευτερόλεπτα")


def test_only_placeholders_are_filled() -> None:
    """Braces of other languages (Go templates, shells) stay."""
    assert texts.fill("{a} {{.State}} ${HOME} {{a}}", {"a": "b"}, "en") == "b {{.State}} ${HOME} {{a}}"


@pytest.mark.parametrize(
    ("wanted", "environment", "expected"),
    [
        (None, {}, "en"),
        (None, {"LANG": "el_GR.UTF-8"}, "el"),
        (None, {"LANG": "el_GR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        (None, {"LANG": "el_GR.UTF-8", "LIMANI_LANG": "en"}, "en"),
        ("el", {"LIMANI_LANG": "en"}, "el"),
    ],
)
def test_the_language_is_chosen(wanted: str | None, environment: dict[str, str], expected: str) -> None:
    """The option wins over LIMANI_LANG, that over the system's language."""
    assert texts.language(wanted, environment) == expected


def test_an_unknown_language_is_refused() -> None:
    """A language without a catalogue is named."""
    with pytest.raises(BadInput, match="'de' is not among en, el"):
        texts.language(None, {"LIMANI_LANG": "de"})


def test_every_message_used_exists() -> None:
    """Ids of messages in the source are in the catalogues, and no message is there for nobody."""
    root = texts.FOLDER.parents[1]
    sources = [path for folder in ("lab", "cli") for path in (root / folder).rglob("*.py")]
    source = "\n".join(path.read_text() for path in sources)
    used = set(re.findall(r'(?:Text|_text|say|said)\(\s*(?:[\w.]+,\s*)?"([a-z]+\.[a-z_.]+)"', source))
    assert used - ENGLISH.keys() == set()
