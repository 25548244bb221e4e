"""Agents in this process, over TLS on the loopback, with engines in memory, and a client as ``limani`` is one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiohttp import web

from limani import wire
from limani.agent import certificate
from limani.agent.app import Parts, build
from limani.agent.auth import Authority, TokenFile
from limani.agent.spool import Spool
from limani.engine.base import Engine
from limani.errors import LimaniError
from tests.unit.engine.fake import FakeEngine

TOKEN = "secret"
HEADERS = {wire.TOKEN_HEADER: f"Bearer {TOKEN}"}

T = TypeVar("T")


@cache
def tls() -> certificate.Tls:
    """One key for all agents of a test run: making one takes a while."""
    return certificate.make("test")


@dataclass
class Agent:
    """An agent that listens, and the ways to ask it."""

    node: str
    url: str
    engine: FakeEngine
    spool: Spool
    app: web.Application
    http: aiohttp.ClientSession

    def spooled(self) -> list[str]:
        """Names of the spool's files."""
        return sorted(path.name for path in self.spool.root.iterdir())

    def request(self, method: str, path: str, *, headers: Mapping[str, str] = HEADERS, **options: Any) -> Any:
        """A request with the good token."""
        return self.http.request(method, self.url + path, headers=dict(headers), ssl=False, **options)

    async def ask(self, method: str, path: str, answer: type[T], body: msgspec.Struct | None = None) -> T:
        """A document for a document. Raises the agent's error."""
        data = None if body is None else msgspec.json.encode(body)
        async with self.request(method, path, data=data) as response:
            content = await response.read()
        if response.status >= 400:
            raise LimaniError.from_dict(msgspec.json.decode(content)["error"])
        return msgspec.json.decode(content, type=answer)

    async def plan(self, *specs: wire.ImageSpec, grant: bool = False) -> wire.Plan:
        """What the node lacks."""
        return await self.ask("POST", "/limani/v1/plan", wire.Plan, wire.PlanRequest(specs, grant))

    async def peer(self, *specs: wire.ImageSpec, only: tuple[str, ...] = ()) -> wire.Peer:
        """This agent as a peer of others."""
        plan = await self.plan(*specs, grant=True)
        assert plan.peer is not None
        return msgspec.structs.replace(plan.peer, url=self.url, only=only)

    @asynccontextmanager
    async def seeding(
        self, specs: Sequence[wire.ImageSpec], peers: Sequence[wire.Peer] = (), rate: int = 0, run: str = ""
    ) -> AsyncIterator[Seeding]:
        """A seed run; leaving the block hangs up."""
        data = msgspec.json.encode(wire.SeedRequest(tuple(specs), tuple(peers), rate, run=run))
        async with self.request("POST", "/limani/v1/seed", data=data) as response:
            if response.status >= 400:
                raise LimaniError.from_dict(msgspec.json.decode(await response.read())["error"])
            yield Seeding(self, response)

    async def start_upload(self, digest: str) -> tuple[str, int]:
        """Where to send a blob, and how much of it is there."""
        async with self.request("POST", f"/v2/{wire.BLOB_REPOSITORY}/blobs/uploads/?digest={digest}") as response:
            assert response.status == 202, await response.text()
            there = response.headers.get("Range")
            return response.headers["Location"], int(there.split("-")[1]) + 1 if there else 0

    async def append(self, location: str, offset: int, data: Any, size: int) -> int:
        """Send a part of a blob; returns the status."""
        data = io.BytesIO(data) if isinstance(data, bytes) else data
        headers = HEADERS | {"Content-Range": f"{offset}-{offset + size - 1}", "Content-Length": str(size)}
        async with self.request("PATCH", location, headers=headers, data=data) as response:
            await response.read()
            return int(response.status)

    async def finish(self, location: str, digest: str) -> int:
        """End an upload; returns the status."""
        async with self.request("PUT", f"{location}?digest={digest}") as response:
            await response.read()
            return int(response.status)

    async def upload(self, digest: str, data: bytes) -> int:
        """Send what a blob lacks; returns the status of the last request."""
        location, offset = await self.start_upload(digest)
        if offset < len(data):
            await self.append(location, offset, data[offset:], len(data) - offset)
        return await self.finish(location, digest)


@dataclass
class Seeding:
    """The stream of a seed run."""

    agent: Agent
    response: aiohttp.ClientResponse
    events: list[wire.AnyEvent] = field(default_factory=list)

    async def next(self) -> wire.AnyEvent:
        """The next event."""
        event: wire.AnyEvent = msgspec.json.decode(await self.response.content.readline(), type=wire.AnyEvent)
        self.events.append(event)
        return event

    async def until(self, kind: type[T]) -> T:
        """The next event of a kind."""
        while True:
            event = await self.next()
            if isinstance(event, kind):
                return event
            assert not isinstance(event, wire.Failed), event

    async def serve(self, blobs: Mapping[str, bytes]) -> wire.Finished | wire.Failed:
        """Answer wants by uploads until the end; returns the last event."""
        async with asyncio.TaskGroup() as uploads:
            answered = 0
            while True:
                for want in self.of(wire.Want)[answered:]:
                    answered += 1
                    if want.digest in blobs:
                        uploads.create_task(self.agent.upload(want.digest, blobs[want.digest]))
                event = await self.next()
                if isinstance(event, wire.Finished | wire.Failed):
                    return event

    def of(self, kind: type[T]) -> list[T]:
        """The events of a kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def running(
    folder: Path, node: str = "n1", *, engine: FakeEngine | None = None, authority: Authority | None = None
) -> AsyncIterator[Agent]:
    """An agent on a port of the loopback."""
    engine = engine or FakeEngine()
    spool = Spool(folder / node)
    engines: tuple[Engine, ...] = (engine,)
    parts = Parts(node, f"https://{node}", tls().fingerprint, engines, spool, authority or token_file(folder))
    app = build(parts)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, auto_decompress=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls().context)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as http:
        try:
            yield Agent(node, f"https://127.0.0.1:{port}", engine, spool, app, http)
        finally:
            await runner.cleanup()


def token_file(folder: Path) -> TokenFile:
    """Tokens: one that may do all, one that may only look."""
    path = folder / "tokens"
    path.write_text(f"{TOKEN} tester\nviewer viewer get\n")
    path.chmod(0o600)
    return TokenFile(path)
