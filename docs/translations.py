"""Which Greek pages are older than their English ones: ``python -m docs.translations`` (exit code 1 if any is).

A page of ``docs/el`` keeps in its front matter the hash of the English page it says the same as. After bringing the
Greek page up to date: ``python -m docs.translations --stamp docs/el/start.md``.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
FRONT = re.compile(r"\A---\n(.*?)^---\n", re.DOTALL | re.MULTILINE)
SOURCE = re.compile(r"^source: *['\"]?([0-9a-f]+)['\"]? *\n", re.MULTILINE)


def digest(english: Path) -> str:
    """What the front matter of the Greek page has to say: 16 digits of the SHA-256 of the English one."""
    return hashlib.sha256(english.read_bytes()).hexdigest()[:16]


def stamped(greek: Path) -> str | None:
    """The hash a Greek page keeps, None if it has none."""
    front = FRONT.match(greek.read_text(encoding="utf-8"))
    found = SOURCE.search(front[1]) if front else None
    return found[1] if found else None


def stale(docs: Path = DOCS) -> dict[str, str]:
    """Greek pages by their path below ``el`` with what is wrong: missing, left over, or older than the English page."""
    english, greek = written(docs / "en"), written(docs / "el")
    found = dict.fromkeys(english.keys() - greek.keys(), "there is no Greek page")
    found |= dict.fromkeys(greek.keys() - english.keys(), "there is no English page")
    for name in english.keys() & greek.keys():
        if stamped(greek[name]) != digest(english[name]):
            found[name] = "the English page has changed since"
    return dict(sorted(found.items()))


def written(folder: Path) -> dict[str, Path]:
    """Pages people write, by their path; those of ``make bench`` are translated when the site is built."""
    pages = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.md")}
    return {name: path for name, path in pages.items() if name != "benchmarks.md"}


def stamp(greek: Path, docs: Path = DOCS) -> None:
    """Write into a Greek page that it says what its English page says now."""
    english = docs / "en" / greek.resolve().relative_to(docs / "el")
    text = greek.read_text(encoding="utf-8")
    front = FRONT.match(text)
    kept = SOURCE.sub("", front[1]) if front else ""
    body = text[front.end() :] if front else text
    # In quotes, for sixteen digits that happen to be a number.
    greek.write_text(f'---\n{kept}source: "{digest(english)}"\n---\n{body}', encoding="utf-8")


def main(arguments: list[str]) -> int:
    """List stale pages, or stamp those named after ``--stamp``."""
    if arguments[:1] == ["--stamp"] and arguments[1:]:
        for name in arguments[1:]:
            stamp(Path(name))
        return 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    found = stale()
    for name, reason in found.items():
        print(f"docs/el/{name}: {reason}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
