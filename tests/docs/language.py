# ruff: noqa: RUF002, SIM905 (Greek letters that look like Latin ones; lists of words)
"""Rules of language: each takes a text and yields where it breaks the rule, and how."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from docs.glossary import terms

Finding = tuple[int, str]
Rule = Callable[[str], Iterator[Finding]]

GREEK = "Ͱ-Ͽἀ-῿"
LATIN = "A-Za-zÀ-ɏ"
WORD = re.compile(r"[^\W\d_]+")
GREEK_WORD = re.compile(rf"[{GREEK}]+")
BRACKETED = re.compile(rf"\([^){GREEK}]*\)")
COMMAND = re.compile(
    r"\b(?:docker|kubectl|limani)(?: [\w./:=-]*[a-z][\w./:=-]*)+", re.ASCII
)  # in a message: no backquotes
ACCENTED = "άέήίόύώΐΰ"

# What is not written, and what is written instead. A reader may search for it: the glossary has it as a synonym.
FORBIDDEN: tuple[tuple[str, str, str], ...] = (
    (r"υπηρεσί\w+|υπηρεσιών", r"ανακάλυψη[ςν]? υπηρεσιών", "Service"),
    (r"επίπεδ\w+|επιπέδ\w+", r"(επίπεδ\w+|επιπέδ\w+) ελέγχου", "στρώμα (layer), επίπεδο only in «επίπεδο ελέγχου»"),
    (r"κοντέινερ|περιέκτ\w+|δοχεί\w+", "", "container"),
    (r"συστάδ\w+|σύμπλεγμα|συμπλέγμα\w+|κλάστερ", "", "cluster"),
    (r"μητρώ\w+", "", "registry"),
    (r"εικονίδι\w+|είδωλ\w+", "", "εικόνα"),
    (r"κόμβο\w* (εργάτ\w+|μάστερ)|μάστερ", "", "κόμβος εργασίας, κόμβος ελέγχου"),
    (r"ρέπλικ\w+", "", "αντίγραφο (replica)"),
)
# The reader is spoken to in the plural.
FAMILIAR = "εσύ εσένα σου δες κάνε τρέξε γράψε βρες κοίτα φτιάξε σβήσε ρώτα θυμήσου".split()
# Words of one syllable although they have several vowels.
ONE_SYLLABLE = set(
    "μια μιας για πια πιο ποια ποιας ποιο ποιοι ποιες ποιος ποιον ποιων ποιους ποιου ποιαν δυο γεια γιος γιου νιος "
    "πιες πιω διο γιε".split()
)
NO_ACCENT = set("τό τά τί νά θά μέ σέ κι΄ γιά μιά πιά πιό ποιός ποιά ποιό".split())
PAIRS = re.compile("αι|ει|οι|υι|ου|αυ|ευ|ηυ|αί|εί|οί|υί|ού|αύ|εύ|ηύ")
VOWELS = re.compile("[αεηιουωάέήίόύώϊϋΐΰ]")
# Short Greek words typed with the keyboard in Latin.
DISGUISED = {"o": "ο", "O": "Ο", "H": "Η", "To": "Το", "Ta": "Τα", "Na": "Να", "Av": "Αν"}
ENGLISH_TERMS = {w for t in terms() for w in re.findall(r"[A-Za-z]+", f"{t.en} {t.el}") if len(w) > 2}
LOANS = {word.lower() for word in ENGLISH_TERMS - {"process", "progress", "status", "Ansible", "Kubernetes"}} | {
    "agent", "blob", "byte", "module", "plugin", "script", "server", "tool", "token", "mount", "package", "file", "user"
}  # fmt: skip


def nfc(text: str) -> Iterator[Finding]:
    """Every letter is one code point, or searches miss it."""
    for found in re.finditer(r"\S+", text):
        if unicodedata.normalize("NFC", found[0]) != found[0]:
            yield found.start(), f"{found[0]!r} is not in NFC"


def one_script(text: str) -> Iterator[Finding]:
    """No Latin letter within a Greek word or the reverse, and no short Greek word in Latin letters."""
    for found in WORD.finditer(text):
        if re.search(f"[{GREEK}]", found[0]) and re.search(f"[{LATIN}]", found[0]):
            odd = [f"{c} is {unicodedata.name(c).split()[0]}" for c in found[0]]
            yield found.start(), f"{found[0]}: two alphabets ({', '.join(odd)})"


def disguised(text: str) -> Iterator[Finding]:
    """No Greek article or particle in Latin letters: they look the same."""
    for found in re.finditer(r"(?<![\w¤./-])[A-Za-z]+(?![\w./-])", text):
        after = text[found.end() :].lstrip()[:1]
        if found[0] in DISGUISED and after and not after.isdigit():
            yield found.start(), f"{found[0]} in Latin letters, write {DISGUISED[found[0]]}"


def glossary(text: str) -> Iterator[Finding]:
    """The words of the glossary and not their rivals."""
    for pattern, allowed, instead in FORBIDDEN:
        for found in re.finditer(rf"(?i)\b(?:{pattern})\b", text):
            if not (allowed and any(spans(found, good) for good in re.finditer(rf"(?i){allowed}", text))):
                yield found.start(), f"{found[0]}: write {instead}"


def spans(inner: re.Match[str], outer: re.Match[str]) -> bool:
    """Whether a match lies within another."""
    return outer.start() <= inner.start() and inner.end() <= outer.end()


def plural_s(text: str) -> Iterator[Finding]:
    """A loan word takes no English -s in a Greek sentence; the English word in brackets after the Greek one may."""
    open_text = COMMAND.sub(blank, BRACKETED.sub(blank, text))
    for found in re.finditer(r"(?<![\w./-])([A-Za-z]+)(?![\w./-]|\.\w)", open_text):
        if found[0].isupper():
            continue  # a name or an abbreviation
        word = found[0].lower()
        for single in (word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y"):
            if single != word and single in LOANS and word not in LOANS:
                yield found.start(), f"{found[0]}: Greek text says {single}, in the plural too"
                break


def blank(found: re.Match[str]) -> str:
    """As many spaces."""
    return " " * len(found[0])


def quotes(text: str) -> Iterator[Finding]:
    """«» around what is quoted, ’ for a letter left out."""
    for found in re.finditer(rf"[\"“”„]|(?<=[{GREEK}])['‘`´]|['‘´](?=[{GREEK}])", text):
        yield found.start(), f"{found[0]}: Greek has « » and ’"


def sigma(text: str) -> Iterator[Finding]:
    """ς at the end of a word and nowhere else."""
    for found in re.finditer(rf"\w*ς(?=\w)\w*|[{GREEK}]+σ\b(?!’)", text):
        yield found.start(), f"{found[0]}: wrong sigma"


def tonos(text: str) -> Iterator[Finding]:
    """A word of several syllables has its accent, a word of one has none."""
    for found in GREEK_WORD.finditer(text):
        word = found[0]
        if word.isupper() or text[found.end() : found.end() + 1] in ("-", "’") or text[found.start() - 1] == "-":
            continue
        low = word.lower()
        accents = sum(c in ACCENTED for c in low)
        if accents == 0 and low not in ONE_SYLLABLE and len(VOWELS.findall(PAIRS.sub("α", low))) > 1:
            yield found.start(), f"{word}: no accent"
        if accents > 2 or low in NO_ACCENT:
            yield found.start(), f"{word}: one accent too many"


def decimals(text: str) -> Iterator[Finding]:
    """A comma before decimals; a point only in version numbers."""
    units = "s|ms|MB|GB|kB|MiB|GiB|KiB|%|δευτερόλεπτα|λεπτά|ώρες|φορές|πυρήνες"
    for found in re.finditer(rf"\b\d+\.\d+(?=\s?(?:{units})(?!\w))", text):
        yield found.start(), f"{found[0]}: decimal comma"


def marks(text: str) -> Iterator[Finding]:
    """; asks, · separates: no ?, and no ; in the middle of a sentence."""
    for found in re.finditer(rf"(?<=[{GREEK}»)])\?|(?<=[{GREEK}¤»)]);(?=\s+[α-ωά-ώ])", text):
        yield (
            found.start(),
            f"{text[max(0, found.start() - 12) : found.end() + 12]!r}: Greek asks with ; and parts with ·",
        )


def polite(text: str) -> Iterator[Finding]:
    """The reader is spoken to in the plural."""
    for found in GREEK_WORD.finditer(text):
        if found[0].lower() in FAMILIAR:
            yield found.start(), f"{found[0]}: polite plural"


def final_nu(text: str) -> Iterator[Finding]:
    """The feminine article and μην keep their ν before a vowel, κ, π, τ, ξ, ψ, μπ, ντ, γκ."""
    stops = "αεηιουωάέήίόύώκπτξψ"
    for found in re.finditer(rf"(?i)\b(?:τη|στη|μη)\s+(?:[{stops}]|μπ|ντ|γκ)\w*", text):
        yield found.start(), f"{found[0]}: final ν"


def twice(text: str) -> Iterator[Finding]:
    """No word twice in a row."""
    for found in re.finditer(r"\b([^\W\d_]{2,}) \1\b", text):
        # "one by one", "side by side": Greek says the word twice.
        if found[1] not in {"δίπλα", "μία", "ένα", "έναν", "ένας", "λίγο", "σιγά", "πρώτα", "ίσα", "that", "had"}:
            yield found.start(), f"{found[0]}: twice"


def spaces(text: str) -> Iterator[Finding]:
    """No space before a comma, a full stop and the like."""
    for found in re.finditer(r"(?<=[\w»)]) +[,;.!](?=\s)", text):
        yield found.start(), f"{text[max(0, found.start() - 10) : found.end()]!r}: space before the mark"


def greek_quotes(text: str) -> Iterator[Finding]:
    """English has no « »."""
    for found in re.finditer("[«»]", text):
        yield found.start(), f"{found[0]}: English has “ ”"


COMMON: tuple[Rule, ...] = (nfc, one_script, twice, spaces)
RULES: dict[str, tuple[Rule, ...]] = {
    "en": (*COMMON, greek_quotes),
    "el": (*COMMON, disguised, glossary, plural_s, quotes, sigma, tonos, decimals, marks, polite, final_nu),
}
