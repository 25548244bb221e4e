"""Who may do what on this node.

A caller sends ``X-Limani-Authorization: Bearer TOKEN`` (the API server's proxy strips ``Authorization``; a direct
client may use that). A verdict is remembered for seconds, so that an upload in many requests costs one question.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from limani.errors import Forbidden, LimaniError, Unauthenticated
from limani.kube.incluster import Identity, InCluster

GROUP = "limani.dev"
ALLOWED_S, DENIED_S = 10.0, 2.0
QUESTIONS = 8
"""Questions put to the API server at the same time."""
MOST = 1024
MAX_TOKEN = 16 << 10


@dataclass(frozen=True)
class Action:
    """What a route does, in the words of Kubernetes' authorisation."""

    resource: str
    verb: str


GET = Action("nodeimages", "get")
CREATE = Action("nodeimages", "create")
UPDATE = Action("nodeimages", "update")
DELETE = Action("nodeimages", "delete")
METRICS = Action("nodeagents", "get")


class Authority(Protocol):
    """Where identities and permissions come from."""

    async def identify(self, token: str) -> Identity:
        """Raises Unauthenticated."""

    async def allows(self, who: Identity, action: Action) -> bool:
        """Whether they may."""

    async def close(self) -> None:
        """Release connections."""


class Kubernetes:
    """TokenReview and SubjectAccessReview; the node is the resource's name."""

    def __init__(self, node: str, api: InCluster) -> None:
        self._node, self._api = node, api

    async def identify(self, token: str) -> Identity:
        """See ``Authority``."""
        return await self._api.identify(token)

    async def allows(self, who: Identity, action: Action) -> bool:
        """See ``Authority``."""
        return await self._api.allows(who, group=GROUP, resource=action.resource, verb=action.verb, name=self._node)

    async def close(self) -> None:
        """See ``Authority``."""
        await self._api.close()


class TokenFile:
    """For hosts without Kubernetes: a file of ``token user [verb,verb...]`` lines (no verbs: all; ``#`` comments).

    It must be readable by its owner only, and is read again when it changes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] = (0, 0)
        self._users: list[tuple[bytes, str, frozenset[str]]] = []

    def _load(self) -> None:
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp == self._stamp:
                return
            if stat.st_mode & 0o077:
                raise LimaniError(
                    f"The token file {self._path} may be read by others than its owner.",
                    hint=f"chmod 600 {self._path}",
                    path=str(self._path),
                )
            lines = [line.split() for line in self._path.read_text().splitlines()]
        except OSError as error:
            raise LimaniError(
                f"The token file {self._path} cannot be read: {error.strerror}.", hint="Make it, or mend its rights."
            ) from error
        self._users = [
            (hashlib.sha256(line[0].encode()).digest(), line[1], frozenset(line[2].split(",")) if line[2:] else _ALL)
            for line in lines
            if len(line) >= 2 and not line[0].startswith("#")
        ]
        self._stamp = stamp

    async def identify(self, token: str) -> Identity:
        """See ``Authority``."""
        self._load()
        given = hashlib.sha256(token.encode()).digest()
        found = [user for known, user, _ in self._users if hmac.compare_digest(known, given)]
        if not found:
            raise Unauthenticated("The token is not in the agent's token file.")
        return Identity(found[0])

    async def allows(self, who: Identity, action: Action) -> bool:
        """See ``Authority``."""
        self._load()
        return any(user == who.user and action.verb in verbs for _, user, verbs in self._users)

    async def close(self) -> None:
        """See ``Authority``."""


_ALL = frozenset({"get", "create", "update", "delete"})

K = TypeVar("K")
V = TypeVar("V")


class _Remembered(Generic[K, V]):
    """Answers to questions, for seconds; a question asked twice at once is asked once."""

    def __init__(self, seconds: Callable[[V], float], limit: asyncio.Semaphore) -> None:
        self._seconds, self._limit = seconds, limit
        self._known: dict[K, tuple[float, V]] = {}
        self._asking: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        known = self._known.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, ask))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        async with self._limit:
            answer = await ask()
        while len(self._known) >= MOST:
            self._known.pop(next(iter(self._known)))
        self._known[key] = (time.monotonic() + self._seconds(answer), answer)
        return answer


def _token(header: str) -> str:
    """The token of a header: ``Bearer TOKEN``, or ``Basic`` with the token as the password (docker login, skopeo)."""
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if len(token) > MAX_TOKEN or not token.isascii():
        raise Unauthenticated("The token is no token.")
    if scheme.lower() == "basic":
        try:
            token = base64.b64decode(token, validate=True).decode("ascii").partition(":")[2]
        except ValueError:
            token = ""
    elif scheme.lower() != "bearer":
        token = ""
    if not token:
        raise Unauthenticated("The request carries no token.")
    return token


class Guard:
    """Decides about requests. ``verdicts``: called with the outcome ("allowed", "unauthenticated", "forbidden")."""

    def __init__(self, authority: Authority, node: str, verdicts: Callable[[str], None] = lambda outcome: None) -> None:
        self._authority, self._node, self._verdicts = authority, node, verdicts
        limit = asyncio.Semaphore(QUESTIONS)
        self._identities: _Remembered[bytes, Identity | None] = _Remembered(
            lambda who: ALLOWED_S if who else DENIED_S, limit
        )
        self._allowed: _Remembered[tuple[Identity, Action], bool] = _Remembered(
            lambda yes: ALLOWED_S if yes else DENIED_S, limit
        )

    async def close(self) -> None:
        """Release the authority's connections."""
        await self._authority.close()

    async def check(self, header: str | None, action: Action) -> Identity:
        """The caller, if they may do it. Raises Unauthenticated, Forbidden, KubeUnreachable."""
        try:
            who = await self._identify(header)
            if not await self._allowed.get((who, action), lambda: self._authority.allows(who, action)):
                raise Forbidden(
                    f"{who.user} may not {action.verb} {action.resource}.{GROUP} of node {self._node}.",
                    user=who.user,
                    verb=action.verb,
                    resource=action.resource,
                    node=self._node,
                )
        except LimaniError as error:
            self._verdicts(error.code)
            raise
        self._verdicts("allowed")
        return who

    async def _identify(self, header: str | None) -> Identity:
        token = _token(header or "")

        async def ask() -> Identity | None:
            try:
                return await self._authority.identify(token)
            except Unauthenticated:
                return None

        who = await self._identities.get(hashlib.sha256(token.encode()).digest(), ask)
        if who is None:
            raise Unauthenticated("The token is not valid here: it is unknown, expired, or not for audience 'limani'.")
        return who
