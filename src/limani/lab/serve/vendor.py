"""The browser libraries of the page: xterm.js and its fit add-on.

``python -m scripts.vendor`` fetches them into ``static/vendor`` when Limani is set up; a wheel carries them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from limani.errors import LabPageIncomplete

FOLDER = Path(__file__).parent / "static" / "vendor"
# sha256 of each file, so that what is served is what was fetched.
DIGESTS = {
    "xterm.js": "14903579ff54664cd72f8e8699e6961a6272c21863ec1c3b118cdc8af5d4a972",
    "xterm.css": "854a7c0fb70e8b1a083c16797ab827299fb18744f5ad34f227b48337e33293c6",
    "xterm.LICENSE": "b569f629d00f2626a8100df2a1798210535621e42164dfd426a6fe5aac7b0ccd",
    "addon-fit.js": "ba3ea256ce0620a0992a197d6c9baea64823fc93d8da07a9e366ca9943c18527",
    "addon-fit.LICENSE": "e256f01188af527e4d06d21d06fbf785ae9c50d4b328bf03cbe0ba7f0aa4228f",
}


def verify(folder: Path = FOLDER) -> None:
    """Raise LabPageIncomplete unless every file is there with its digest."""
    for name, digest in DIGESTS.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise LabPageIncomplete(
                f"The page's file {name} is not in {folder}: {error.strerror}.", path=str(folder / name)
            ) from error
        if found != digest:
            raise LabPageIncomplete(
                f"The page's file {folder / name} is not what was published: sha256 {found} instead of {digest}.",
                path=str(folder / name),
            )
