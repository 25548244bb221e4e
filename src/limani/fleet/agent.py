"""One agent, spoken to through the API server's ``pods/proxy``.

The API server authenticates the hop to itself and strips ``Authorization``; the agent authenticates the caller by the
token in ``X-Limani-Authorization``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from limani import wire
from limani.errors import AgentUnreachable, BlobUnknown, LimaniError, RemoteError, TimedOut, VersionSkew
from limani.kube.nodes import Node
from limani.kube.session import KubeSession, status_error
from limani.kube.tokens import TokenSource

T = TypeVar("T")

ANSWER_TIMEOUT_S = 30.0
SILENCE_S = 15.0
"""A seed stream that says nothing for so long is dead: the agent beats every 3 s."""

_EVENT = msgspec.json.Decoder(wire.AnyEvent)


class AgentClient:
    """What can be asked of the agent of one node. All methods raise AgentUnreachable when the way to it breaks."""

    def __init__(self, session: KubeSession, node: Node, tokens: TokenSource) -> None:
        self.node = node
        self._session = session
        self._tokens = tokens
        self._base = node.proxy_path()

    async def status(self) -> wire.Status:
        """Version, engines, disks, address for peers. Raises VersionSkew if it speaks another protocol."""
        status = await self._ask("GET", "/limani/v1/status", wire.Status)
        if status.protocol != wire.PROTOCOL:
            raise VersionSkew(
                f"The agent of node {self.node.name} (version {status.version}) speaks protocol {status.protocol}, "
                f"this client speaks {wire.PROTOCOL}.",
                node=self.node.name,
            )
        return status

    async def images(self, engine: str = "") -> wire.Inventory:
        """All images the node's engine holds."""
        query = f"?engine={quote(engine)}" if engine else ""
        return await self._ask("GET", f"/limani/v1/images{query}", wire.Inventory)

    async def plan(self, request: wire.PlanRequest) -> wire.Plan:
        """What the node lacks of some images; changes nothing."""
        return await self._ask("POST", "/limani/v1/plan", wire.Plan, request)

    async def remove(self, request: wire.RemoveRequest) -> wire.RemoveAnswer:
        """Remove references; every one has its own result."""
        return await self._ask("POST", "/limani/v1/remove", wire.RemoveAnswer, request)

    async def pin(self, request: wire.PinRequest) -> wire.RemoveAnswer:
        """Pin or unpin references; every one has its own result."""
        return await self._ask("POST", "/limani/v1/pin", wire.RemoveAnswer, request)

    async def manifest(self, repository: str, reference: str) -> tuple[str, bytes]:
        """(media type, bytes) of a manifest or index the node holds (OCI distribution, pulling manifests)."""
        answer = await self._send("GET", f"/v2/{repository}/manifests/{quote(reference)}")
        return answer.headers.get("Content-Type", ""), answer.content

    async def read_blob(self, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Bytes of a blob the node holds, from an offset on. Raises BlobUnknown."""
        headers = await self._headers()
        if offset:
            headers["Range"] = f"bytes={offset}-"
        url = f"{self._base}/v2/{wire.BLOB_REPOSITORY}/blobs/{digest}"
        async with self._stream("GET", url, headers) as answer:
            if answer.status_code == 404:
                raise BlobUnknown(f"Node {self.node.name} does not hold {digest}.", node=self.node.name, digest=digest)
            if answer.status_code >= 400:
                raise self._error("GET", url, answer, await answer.aread())
            async for chunk in answer.aiter_raw(1 << 20):
                yield chunk

    @asynccontextmanager
    async def seed(self, request: wire.SeedRequest) -> AsyncIterator[AsyncIterator[wire.AnyEvent]]:
        """Put images onto the node; yields the stream of events. Leaving the context ends the work on the node."""
        headers = await self._headers() | {"Content-Type": "application/json"}
        url = self._base + "/limani/v1/seed"
        async with self._stream("POST", url, headers, msgspec.json.encode(request), silence_s=SILENCE_S) as answer:
            if answer.status_code >= 400:
                raise self._error("POST", url, answer, await answer.aread())
            yield self._events(answer)

    async def _events(self, answer: httpx2.Response) -> AsyncIterator[wire.AnyEvent]:
        try:
            async for line in answer.aiter_lines():
                if line:
                    yield _EVENT.decode(line)
        except msgspec.DecodeError as error:
            raise VersionSkew(f"The agent of node {self.node.name} sent an event this client does not know.") from error

    async def start_upload(self, digest: str) -> tuple[str, int]:
        """Begin or resume an upload of a blob: (URL path of the session, bytes the node already has).

        OCI distribution, "pushing a blob in chunks"; the agent takes the digest as a hint which partial blob is meant.
        """
        path = f"/v2/{wire.BLOB_REPOSITORY}/blobs/uploads/?digest={quote(digest, safe=':')}"
        answer = await self._send("POST", path)
        location = answer.headers.get("Location", "")
        match = re.search(r"(/v2/[^?#]*)", location)
        if not match:
            raise RemoteError(f"The agent of node {self.node.name} started an upload without a Location.")
        have = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", ""))
        return match.group(1), int(have.group(1)) + 1 if have else 0

    async def finish_upload(
        self, session_path: str, digest: str, offset: int, end: int, chunks: AsyncIterator[bytes]
    ) -> None:
        """Stream bytes ``offset`` to ``end`` of a blob into an upload session and close it; the agent verifies it.

        OCI distribution: the request that closes a session may carry the last chunk. Raises DigestMismatch.
        """
        url = f"{self._base}{session_path}?digest={quote(digest, safe=':')}"
        headers = await self._headers() | {"Content-Length": str(end - offset)}
        if offset < end:
            headers |= {"Content-Type": "application/octet-stream", "Content-Range": f"{offset}-{end - 1}"}
        content = chunks if offset < end else b""
        async with self._stream("PUT", url, headers, content, silence_s=60.0) as answer:
            if answer.status_code >= 400:
                raise self._error("PUT", url, answer, await answer.aread())

    # --- plumbing ---------------------------------------------------------------------------------------------------

    async def _headers(self) -> dict[str, str]:
        return {wire.TOKEN_HEADER: f"Bearer {await self._tokens.get()}"}

    async def _ask(self, method: str, path: str, answer_type: type[T], body: object | None = None) -> T:
        answer = await self._send(method, path, body)
        try:
            return msgspec.json.decode(answer.content, type=answer_type)
        except msgspec.DecodeError as error:
            text = f"The agent of node {self.node.name} gave an answer this client does not understand: {error}."
            raise VersionSkew(text, node=self.node.name) from error

    async def _send(self, method: str, path: str, body: object | None = None) -> httpx2.Response:
        headers = await self._headers()
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        url = self._base + path
        try:
            timeout = httpx2.Timeout(ANSWER_TIMEOUT_S)
            answer = await self._session.http.request(method, url, headers=headers, content=content, timeout=timeout)
        except httpx2.TransportError as error:
            raise self._broken(error) from error
        if answer.status_code >= 400:
            raise self._error(method, url, answer, answer.content)
        return answer

    @asynccontextmanager
    async def _stream(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        content: bytes | AsyncIterator[bytes] | None = None,
        silence_s: float = ANSWER_TIMEOUT_S,
    ) -> AsyncIterator[httpx2.Response]:
        timeout = httpx2.Timeout(silence_s)
        try:
            stream = self._session.http.stream(method, url, headers=headers, content=content, timeout=timeout)
            async with stream as answer:
                yield answer
        except httpx2.TransportError as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> LimaniError:
        name = self.node.name
        if isinstance(error, httpx2.ReadTimeout):
            return TimedOut(f"The agent of node {name} said nothing for too long.", node=name)
        return AgentUnreachable(
            f"The way to the agent of node {name} broke: {str(error) or type(error).__name__}.", node=name
        )

    def _error(self, method: str, url: str, answer: httpx2.Response, content: bytes) -> LimaniError:
        """The agent's own error if it answered, AgentUnreachable if the API server could not reach it."""
        problem = decode_error(content)
        if problem is not None:
            problem.fields.setdefault("node", self.node.name)
            return problem
        if answer.status_code in (404, 500, 502, 503, 504):  # no answer of an agent: those carry our error documents
            text = content[:200].decode(errors="replace").strip()
            return AgentUnreachable(
                f"The API server cannot reach the agent of node {self.node.name}: {text}.", node=self.node.name
            )
        return status_error(method, url, answer.status_code, content)


def decode_error(content: bytes) -> LimaniError | None:
    """The LimaniError in an agent's answer: ours (``{"error": ...}``) or OCI distribution's (``{"errors": [...]}``)."""
    try:
        document: Any = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return None
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("error"), dict):
        return LimaniError.from_dict(document["error"])
    errors = document.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        detail = errors[0].get("detail")
        if isinstance(detail, dict) and "code" in detail:
            return LimaniError.from_dict(detail)
        return RemoteError(str(errors[0].get("message")), remote_code=errors[0].get("code"))
    return None
