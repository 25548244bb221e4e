"""Content digests (OCI image specification v1.1, descriptor.md section "Digests").

Only ``sha256`` is taken: it is what every registry and runtime uses, and one algorithm means one way to verify.
"""

from __future__ import annotations

import hashlib
import re

from limani.errors import DigestInvalid

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def parse(text: str) -> str:
    """Return ``text`` if it is ``sha256:`` and 64 lowercase hexadecimal digits; raises DigestInvalid otherwise."""
    if not isinstance(text, str) or not _DIGEST.match(text):
        raise DigestInvalid(f"{_shown(text)} is not a sha256 digest.", value=_shown(text))
    return text


def of(data: bytes) -> str:
    """The digest of ``data``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def hex_part(digest: str) -> str:
    """The 64 hexadecimal digits of a digest (the file name below ``blobs/sha256/`` of an OCI image layout)."""
    return parse(digest)[len("sha256:") :]


def _shown(text: object) -> str:
    """``text`` as it may appear in a message: quoted and not longer than a line."""
    return repr(text)[:120]
