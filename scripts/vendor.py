"""Fetch the browser libraries of ``limani lab serve`` from npm: ``python -m scripts.vendor [FOLDER]``.

Versions and hashes are pinned; a wheel built afterwards carries the files. Does nothing where they are all there.
To move to other versions: change them here and the digests in ``limani.lab.serve.vendor``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs import npm
from limani.errors import LimaniError
from limani.lab.serve import vendor

XTERM = npm.Package(
    "@xterm/xterm",
    "6.0.0",
    "sha512-TQwDdQGtwwDt+2cgKDLn0IRaSxYu1tSUjgKarSDkUM0ZNiSRXFpjxEsvc/Zgc5kq5omJ+V0a8/kIM2WD3sMOYg==",
)
FIT = npm.Package(
    "@xterm/addon-fit",
    "0.11.0",
    "sha512-jYcgT6xtVYhnhgxh3QgYDnnNMYTcf8ElbxxFzX0IZo+vabQqSPAjC3c1wJrKB5E19VwQei89QCiZZP86DCPF7g==",
)
FILES = {
    "xterm.js": (XTERM, "lib/xterm.js"),
    "xterm.css": (XTERM, "css/xterm.css"),
    "xterm.LICENSE": (XTERM, "LICENSE"),
    "addon-fit.js": (FIT, "lib/addon-fit.js"),
    "addon-fit.LICENSE": (FIT, "LICENSE"),
}


def main(arguments: list[str]) -> int:
    """Put the files in place; 0 when they are there and are what they should be."""
    folder = Path(arguments[0]) if arguments else vendor.FOLDER
    try:
        vendor.verify(folder)
    except LimaniError:
        try:
            fetch(folder)
        except npm.NotToBeHad as error:
            print(f"vendor: {error}", file=sys.stderr)
            return 1
        vendor.verify(folder)
    return 0


def fetch(folder: Path) -> None:
    """Unpack all files, also over damaged ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (package, member) in FILES.items():
        (folder / name).write_bytes(npm.file(package, member))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
