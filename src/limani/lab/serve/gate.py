"""Who gets in. Pure decisions about one request, so that every row of the matrix can be tested.

A page of any other server on this machine is "same site" for a browser, and a name anybody owns can point to 127.0.0.1.
So nothing but the exact host with its port is answered, anything that changes something must say that it comes from our
own page, and the session's cookie travels only below a path nobody else knows.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

# What a page of another origin cannot send without asking first, and we never say yes.
HEADER = "X-Limani-Lab"
COOKIE = "limani-lab"
FRAMES = frozenset({"iframe", "frame", "embed", "object", "fencedframe"})

RESPONSE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Refusal:
    """Why a request is turned away: an HTTP status and a word for tests and logs."""

    status: int
    reason: str


@dataclass(frozen=True)
class Request:
    """What the gate looks at. ``session``: value of our cookie. ``upgrade``: asks for the web socket."""

    method: str
    headers: Mapping[str, str]
    session: str | None = None
    query: str = ""
    upgrade: bool = False
    entry: bool = False  # the first URL, which brings the token instead of the cookie


class Gate:
    """The door of one server at ``host`` (``127.0.0.1:PORT`` or ``[::1]:PORT``), for one browser session."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.origin = f"http://{host}"
        # Cookies do not tell ports apart, paths do: other servers of this machine never get ours.
        self.base = f"/{secrets.token_urlsafe(16)}"
        self._token: str | None = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """The first URL. It works once."""
        return f"{self.origin}{self.base}/enter?token={self._token}"

    def redeem(self, token: str) -> str | None:
        """The session for the token of the first URL; None for a wrong or used one."""
        if self._token is None or not _same(token, self._token):
            return None
        self._token = None
        return self._session

    def knows(self, session: str | None) -> bool:
        """Whether the cookie is that of the session."""
        return session is not None and _same(session, self._session)

    def judge(self, request: Request) -> Refusal | None:
        """None lets the request in."""
        return self._place(request) or self._purpose(request) or self._person(request)

    def _place(self, request: Request) -> Refusal | None:
        """Whether it is meant for us and comes from our own page."""
        headers = request.headers
        if headers.get("Host") != self.host:
            return Refusal(421, "host")
        if headers.get("Sec-Fetch-Dest", "") in FRAMES:
            return Refusal(403, "frame")
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return Refusal(403, "site")
        if "Origin" in headers and headers["Origin"] != self.origin:
            return Refusal(403, "origin")
        return None

    def _purpose(self, request: Request) -> Refusal | None:
        """Whether it asks for something in the way that is allowed."""
        headers = request.headers
        if request.method not in ("GET", "POST"):
            return Refusal(405, "method")
        if request.upgrade or request.method == "POST":
            if "Origin" not in headers:
                return Refusal(403, "origin")
            if request.method == "POST" and headers.get(HEADER) != "1":
                return Refusal(403, "header")
        if request.query and not request.entry:
            return Refusal(400, "query")
        return None

    def _person(self, request: Request) -> Refusal | None:
        if request.entry or self.knows(request.session):
            return None
        return Refusal(403, "session")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
