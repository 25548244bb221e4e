"""Grants: the right of a bearer to fetch certain blobs from this agent for a while."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass

from limani.errors import Unauthenticated
from limani.wire import Grant

EXPIRES_S = 900
MOST = 10_000


@dataclass
class _Issued:
    digests: frozenset[str]
    expires: float


class Grants:
    """Grants this process has issued; they end with it. Only hashes of the tokens are kept."""

    def __init__(self) -> None:
        self._issued: dict[bytes, _Issued] = {}

    def issue(self, digests: Iterable[str]) -> Grant:
        """A new grant for some blobs."""
        self._forget()
        token = secrets.token_urlsafe(32)
        self._issued[_hash(token)] = _Issued(frozenset(digests), time.monotonic() + EXPIRES_S)
        return Grant(token, EXPIRES_S)

    def use(self, token: str, digest: str) -> None:
        """Raise Unauthenticated unless the grant exists and names the blob; every use prolongs it."""
        issued = self._issued.get(_hash(token))
        if issued is None or issued.expires < time.monotonic():
            raise Unauthenticated("The grant is unknown or has expired.", hint="Ask this agent for a new grant.")
        if digest not in issued.digests:
            raise Unauthenticated(f"The grant does not name the blob {digest}.", digest=digest)
        issued.expires = time.monotonic() + EXPIRES_S

    def names(self, digest: str) -> bool:
        """Whether somebody may still come for a blob."""
        now = time.monotonic()
        return any(digest in issued.digests and issued.expires > now for issued in self._issued.values())

    def _forget(self) -> None:
        now = time.monotonic()
        gone = [key for key, issued in self._issued.items() if issued.expires <= now]
        gone += list(self._issued)[: max(0, len(self._issued) - MOST)]
        for key in gone:
            self._issued.pop(key, None)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
