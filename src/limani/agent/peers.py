"""Fetching blobs from other agents: one attempt with one peer. Which peer comes next is the run's business."""

from __future__ import annotations

import asyncio
import contextlib
import re

import aiohttp

from limani.agent.entry import Entry
from limani.agent.inflow import Inflow
from limani.errors import AgentUnreachable, BlobUnknown, LimaniError
from limani.pace import Bucket
from limani.wire import BLOB_REPOSITORY, GRANT_HEADER, Peer

CONNECT_S = 5.0
QUIET_S = 10.0
"""After so long without a byte the peer is asked whether it is alive; a living one may be waiting itself."""
BUFFER = 128 << 10


class Peers:
    """The client side towards other agents. Their certificates are pinned by fingerprint, no CA is involved."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                auto_decompress=False,
                read_bufsize=BUFFER,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def fetch(self, entry: Entry, peer: Peer, bucket: Bucket) -> None:
        """Append what ``entry`` lacks from a peer (whose ``writer`` the caller holds); what came stays on any error.

        Raises BlobUnknown (the peer has no such blob), AgentUnreachable (it broke off), and what ``Entry.append`` does.
        """
        offset = await entry.resume()
        try:
            await self._fetch(entry, peer, bucket, offset)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise AgentUnreachable(
                f"Peer {peer.node} ({peer.url}) broke off: {str(error) or type(error).__name__}.", node=peer.node
            ) from error

    async def _fetch(self, entry: Entry, peer: Peer, bucket: Bucket, offset: int) -> None:
        url = f"{peer.url}/v2/{BLOB_REPOSITORY}/blobs/{entry.digest}"
        headers = {GRANT_HEADER: peer.grant, "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        async with contextlib.AsyncExitStack() as stack:
            answer = await self._answer(stack, peer, url, headers)
            if answer.status == 404:
                raise BlobUnknown(f"Peer {peer.node} has no blob {entry.digest}.", digest=entry.digest, node=peer.node)
            if answer.status not in (200, 206):
                raise AgentUnreachable(f"Peer {peer.node} answered {answer.status}.", node=peer.node)
            if _start(answer) != offset:
                await entry.reset()  # it sends all of it
            async with Inflow(entry) as inflow:
                while data := await self._piece(answer, peer):
                    await bucket.take(len(data))
                    await inflow.add(data)
        if entry.received < entry.size:
            raise AgentUnreachable(f"Peer {peer.node} stopped after {entry.received} bytes.", node=peer.node)

    async def _answer(
        self, stack: contextlib.AsyncExitStack, peer: Peer, url: str, headers: dict[str, str]
    ) -> aiohttp.ClientResponse:
        """The head of the answer; it comes with the blob's first byte, which the peer may itself be waiting for."""
        request = asyncio.ensure_future(
            stack.enter_async_context(self._http().get(url, headers=headers, ssl=_pinned(peer)))
        )
        try:
            while not (await asyncio.wait([request], timeout=QUIET_S))[0]:
                await self._alive(peer)
            return await request
        finally:
            request.cancel()

    async def _piece(self, answer: aiohttp.ClientResponse, peer: Peer) -> bytes:
        """The next bytes; silence is borne as long as the peer lives."""
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    return await answer.content.readany()
            except TimeoutError:
                await self._alive(peer)

    async def _alive(self, peer: Peer) -> None:
        timeout = aiohttp.ClientTimeout(total=CONNECT_S)
        async with self._http().get(f"{peer.url}/healthz", ssl=_pinned(peer), timeout=timeout) as answer:
            answer.raise_for_status()


def _pinned(peer: Peer) -> aiohttp.Fingerprint:
    try:
        return aiohttp.Fingerprint(bytes.fromhex(peer.fingerprint))
    except ValueError as error:
        raise LimaniError(f"The fingerprint of peer {peer.node} is not a sha256 in hexadecimal.") from error


def _start(answer: aiohttp.ClientResponse) -> int:
    """The offset an answer begins at (RFC 9110, section 14.4)."""
    if answer.status != 206:
        return 0
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match.group(1)) if match else -1
