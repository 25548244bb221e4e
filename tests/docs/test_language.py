"""What the documentation, the lessons and the messages say is written correctly, in English and in Greek."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from pathlib import Path

import pytest

from docs import glossary
from docs.hooks import tooltips
from tests.docs import language, spelling
from tests.docs.prose import ROOT, Passage, markdown, messages, passages

LANGUAGES = ("en", "el")

# For each rule: what breaks it (once), and what comes near but does not.
EXAMPLES: dict[str, tuple[str, str]] = {
    "nfc": ("Το μη\u0301νυμα", "Το μήνυμα"),
    "one_script": ("ο κόμβoς", "ο agent ενός κόμβου"),
    "twice": ("αυτό είναι για για σας", "μία μία, δίπλα δίπλα, so that that holds"),
    "spaces": ("ο κόμβος , το Pod", "λεπτά · ώρες, ο κόμβος."),
    "disguised": ("Το Pod και o κόμβος", "Ο κόμβος O2, ¤o και -o json"),
    "glossary": ("Η υπηρεσία δείχνει στο Pod", "Η ανακάλυψη υπηρεσιών και το επίπεδο ελέγχου"),
    "plural_s": (
        "Τρία containers ξεκινούν",
        "Τα container, τα στρώματα (layers), με kubectl logs, το DNS, το kubectl-pods, το status",
    ),
    "quotes": ('Το "δίκτυο τους', "Το «δίκτυο» τους, γι’ αυτό και the node's name"),
    "sigma": ("Ο κόμβοσ σταμάτησε", "σ’ αυτόν τον κόμβο"),
    "tonos": ("Ο κομβος σταμάτησε", "ΠΡΟΣΟΧΗ: μια, για, ποιος, το μήνυμά του, τρεις, αυτός"),
    "decimals": ("Πήρε 6.4 s", "Πήρε 6,4 s με την έκδοση 1.37"),
    "marks": ("Τι έγινε; τίποτα", "Τι έγινε; Τίποτα· ή μήπως κάτι;"),
    "final_nu": ("στη εικόνα", "στην εικόνα, τη βλάβη, μη διαγράφετε, τη `docker run`"),
    "greek_quotes": ("He says: «mine.", "He says: “mine.”"),
    "polite": ("Τώρα τρέξε την εντολή", "Τρέξτε την εντολή, έτρεξε η εντολή"),
}


@pytest.mark.parametrize("rule", [*language.RULES["el"], language.greek_quotes], ids=lambda rule: rule.__name__)
def test_each_rule_tells_bad_from_good(rule: language.Rule) -> None:
    """A rule finds its fault, once, and leaves correct text in peace."""
    bad, good = EXAMPLES[rule.__name__]
    assert len(list(rule(bad))) == 1
    assert list(rule(good)) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Συστάδα με τρεις κόμβους", language.glossary),
        ("στο πάνω επίπεδο της εικόνας", language.glossary),
        ("ένα κοντέινερ", language.glossary),
        ("Τα registries", language.plural_s),
        ("Καλώς ήρθατε?", language.marks),
        ("ο agent απ' τον κόμβο", language.quotes),
        ("Θα γίνει νά δούμε", language.tonos),
    ],
)
def test_more_faults_are_found(text: str, rule: language.Rule) -> None:
    """Each rule of several parts finds each of its faults."""
    assert len(list(rule(text))) == 1


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_rules_hold(lang: str) -> None:
    """No page, lesson or message breaks a rule of its language."""
    found = [
        f"{passage.where(offset)}: {fault}"
        for passage in passages(lang)
        for rule in language.RULES[lang]
        for offset, fault in rule(passage.text)
    ]
    assert found == []


def test_no_other_file_mixes_alphabets() -> None:
    """Greek in templates, scripts and code has no Latin letter within a word and is in NFC."""
    patterns = ("mkdocs.yml", "docs/overrides/**/*.html", "scripts/*.sh", "src/**/*.py", "images/**/*.txt")
    texts = {path: path.read_text(encoding="utf-8") for pattern in patterns for path in ROOT.glob(pattern)}
    assert any(re.search(f"[{language.GREEK}]", text) for text in texts.values())
    rules = (language.nfc, language.one_script)
    assert [(path, fault) for path, text in texts.items() for rule in rules for _, fault in rule(text)] == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_spelling(lang: str) -> None:
    """Every word is in the dictionary or in our list, and our list has no word that nothing needs."""
    report = spelling.look([passage for either in LANGUAGES for passage in passages(either)], lang)
    assert report.wrong == {}, f"correct it, or add the word to tests/docs/words-{lang}.txt"
    assert report.unused == [], f"take it out of tests/docs/words-{lang}.txt"


def test_unused_words_are_found(tmp_path: Path) -> None:
    """A word of our list that no text has, or that the dictionary knows, is called unused."""
    report = spelling.look([Passage(tmp_path, 1, "A kubelet runs")], "en", ["kubelet", "podman", "runs"])
    assert (report.wrong, report.unused) == ({}, ["podman", "runs"])


@pytest.mark.parametrize("lang", LANGUAGES)
def test_word_lists_are_sorted(lang: str) -> None:
    """One word a line, sorted, none twice."""
    own = spelling.own_words(lang)
    assert own == sorted(set(own))
    assert all(re.fullmatch(r"[^\W\d_]+(?:'[^\W\d_]+)?", word) for word in own)


def test_spelling_finds_a_slip(tmp_path: Path) -> None:
    """A wrong word of either language is found in a Greek text; code, paths and names are not looked at."""
    passage = Passage(tmp_path, 1, markdown("Η διαχείρηση του contaner με `xqzt`, /var/xqzt, --xqzt, XQZT, σε 10ms."))
    assert spelling.unknown({word for _, word in spelling.words(passage, "el")}, "el") == {"διαχείρηση"}
    assert spelling.unknown({word for _, word in spelling.words(passage, "en")}, "en") == {"contaner"}


def test_code_is_no_prose() -> None:
    """Code, attributes, targets of links and English marked as such are left out; lines keep their numbers."""
    text = '---\na: b\n---\n# Α {#a}\n\n```sh\nx\n```\nΒ `c` [Γ](d.md) <span lang="en">E</span> <http://f.g> {name}\n'
    assert markdown(text).split() == ["#", "Α", "Β", "¤", "[Γ]", "¤", "¤"]
    assert markdown(text).count("\n") == text.count("\n") - 3 + markdown("---\na: b\n---\n").count("\n")
    assert Passage(Path("x"), 1, markdown(text)).where(markdown(text).index("Β")).endswith(":9")


def test_messages_of_one_language(tmp_path: Path) -> None:
    """Of a file with both languages only the values of the one asked for are read, with their lines."""
    path = tmp_path / "x.yml"
    path.write_text("- id: a\n  el: Α\n  definition_el: Β\n  definition_en: C\n  synonyms_el: [D]\n")
    assert [(passage.line, passage.text) for passage in messages(path, "el")] == [(2, "Α"), (3, "Β")]
    assert len(messages(path)) == 5


# The words of the glossary whose Greek a reader may not connect with the English of the commands.
FIRST = {
    "image": r"εικόν(?:α|ες|ας|ων)\b",
    "tag": r"ετικέτ\w+ έκδοσης",
    "label": r"ετικετών\b|ετικέτ(?:α|ες|ας)\b(?! έκδοσης)",
    "layer": r"στρώμα\w*|στρωμάτ\w+",
    "selector": r"επιλογ(?:έας|έα|είς)\b",
    "port": r"θύρ(?:α|ες|ας)\b|θυρών",
    "runtime": r"περιβάλλον\w* εκτέλεσης",
    "event": r"συμβάν\w*",
    "volume": r"τόμο\w+",
    "rollout": r"σταδιακή\w* ενημέρωση",
    "endpoint": r"τελικ\w+ σημεί\w+",
    "node": r"κόμβ(?:ος|ου|ο|οι|ους|ων)\b",
    "log": r"αρχεί\w+ καταγραφής",
}


def unexplained(text: str) -> list[str]:
    """Words of ``FIRST`` a Greek page uses without saying the English one in brackets."""
    used = {word for word, greek in FIRST.items() if re.search(greek, text)}
    return sorted(word for word in used if not re.search(rf"\([^)]*\b{word}s?\b[^)]*\)", text))


def test_a_page_says_the_english_word_once() -> None:
    """A Greek page that uses a Greek term says the English one in brackets, for that is what commands print."""
    pages = [passage for passage in passages("el") if passage.path.suffix == ".md"]
    assert {passage.where(): missing for passage in pages if (missing := unexplained(passage.text))} == {}
    assert unexplained("Οι ετικέτες (labels) μιας εικόνας") == ["image"]


def test_glossary_is_sound() -> None:
    """Ids are unique; a word said to be Latin has no Greek beside its article, another has; meanings are sentences."""
    ids: dict[str, int] = defaultdict(int)
    for term in glossary.terms():
        ids[term.id] += 1
        assert re.fullmatch(r"[a-z][a-z-]*", term.id)
        greek = bool(re.search(f"[{language.GREEK}]", term.name("el").removeprefix("πρότυπο ")))
        assert greek != term.latin, term.el
        for lang in LANGUAGES:
            assert re.search(r"\.\)?$", term.definition(lang)), term.id
            assert term.name(lang) not in term.synonyms(lang)
            for word in (*term.synonyms(lang), term.name(lang)):
                assert unicodedata.normalize("NFC", word) == word
                assert list(language.one_script(word)) == []
    assert [name for name, times in ids.items() if times > 1] == []


def test_tooltips_know_the_forms_of_a_word() -> None:
    """A word in the plural or in another case has its tooltip too; a form belongs to one word only."""
    english, greek = glossary.tooltips("en"), glossary.tooltips("el")
    assert english["registries"] == english["registry"]
    assert greek["κόμβων"] == greek["κόμβος"]
    assert greek["κόμβων"] != greek["κόμβων εργασίας"]
    assert "title=" in tooltips.linked("<p>A Secret</p>", "en", "g.html")
    assert "title=" not in tooltips.linked("<p>a secret job</p>", "en", "g.html")
    for lang in LANGUAGES:
        forms = [form.casefold() for term in glossary.terms() if term.tooltip for form in term.forms(lang)]
        assert len(forms) == len(set(forms))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_glossary_page(lang: str) -> None:
    """The page has every word in alphabetical order, accents aside, with the ids of the other language's page."""
    page = glossary.page(lang)
    names = re.findall(r"^## (.*) \{#", page, re.MULTILINE)
    assert names == sorted(names, key=glossary.fold)
    assert sorted(re.findall(r"^## .*\{#(.*)\}", page, re.MULTILINE)) == sorted(t.id for t in glossary.terms())


def test_synonyms_lead_to_the_words_of_the_pages() -> None:
    """What a Greek may type for a word, folded, leads to the word the pages use."""
    found = glossary.synonyms("el")
    assert "container" in found["κοντεινερ"]
    assert "cluster" in found["συσταδα"]
    assert "Service" in found["υπηρεσια"]
    assert found["kernel"] == ("πυρήνας",)
    assert all(glossary.fold(typed) == typed for typed in found)
