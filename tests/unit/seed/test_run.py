"""Carrying out a plan against agents that behave, break, die and refuse.

The fake agents follow the protocol of ``limani.wire``; tests/integration/seed does the same with real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from limani import wire
from limani.errors import AgentUnreachable, ArchiveInvalid, DigestMismatch, LimaniError
from limani.image.manifest import Descriptor
from limani.seed import run as run_module
from limani.seed.plan import Step
from limani.seed.run import Cargo, Run

DIGEST = "sha256:" + "ab" * 32
DATA = bytes(range(256)) * 64
SPEC = wire.ImageSpec("docker.io/library/a:1", ())


class Source:
    """One blob, in four pieces; may break."""

    origin = "test"

    def __init__(self, error: LimaniError | None = None) -> None:
        self.error = error
        self.sent = 0

    async def open(self, descriptor: Descriptor, offset: int = 0) -> AsyncIterator[bytes]:
        for start in range(offset, len(DATA), len(DATA) // 4):
            await asyncio.sleep(0)
            if self.error and start:
                raise self.error
            piece = DATA[start : start + len(DATA) // 4]
            self.sent += len(piece)
            yield piece


def peer(name: str) -> wire.Peer:
    return wire.Peer(name, f"https://{name}", "ff", "g")


@dataclass
class Agent:
    """A node that wants one blob. ``breaks``: how many streams break half way; ``die``: never comes back."""

    name: str
    world: World
    breaks: int = 0
    die: bool = False
    refuse: LimaniError | None = None
    spool: bytes = b""
    requests: list[wire.SeedRequest] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def status(self) -> wire.Status:
        if self.die:
            raise AgentUnreachable("gone")
        engine = wire.EngineStatus("containerd", "2", True, True)
        return wire.Status(1, "0", self.name, "linux/amd64", engine, (), f"https://{self.name}", "ff")

    async def plan(self, request: wire.PlanRequest) -> wire.Plan:
        if self.die:
            raise AgentUnreachable("gone")
        return wire.Plan((), 0, (), peer(self.name))

    @asynccontextmanager
    async def seed(self, request: wire.SeedRequest) -> AsyncIterator[AsyncIterator[wire.AnyEvent]]:
        self.requests.append(request)
        self.asked.set()
        if self.die and len(self.requests) > 1:
            raise AgentUnreachable("gone")
        yield self.events(request)

    async def events(self, request: wire.SeedRequest) -> AsyncIterator[wire.AnyEvent]:
        if self.die:
            await asyncio.sleep(0)
            raise AgentUnreachable("gone")
        if self.refuse:
            yield wire.Failed(self.refuse.to_dict())
            return
        before = len(self.spool)
        parent = next((p.node for p in request.peers if not self.world.agents[p.node].die), None)
        if parent:
            holder = self.world.agents[parent]
            while len(holder.spool) < len(DATA):
                holder.changed.clear()
                yield wire.Beat()
                async with asyncio.timeout(5):
                    await holder.changed.wait()
            self.spool = holder.spool
            self.changed.set()
        elif len(self.spool) < len(DATA):
            yield wire.Want(DIGEST, len(DATA), len(self.spool))
        while len(self.spool) < len(DATA):
            self.changed.clear()
            async with asyncio.timeout(5):  # wait_for of Python 3.11 may swallow a cancellation
                await self.changed.wait()
            if self.breaks and len(self.spool) >= len(DATA) // 2:
                self.breaks -= 1
                raise AgentUnreachable("cut")
        yield wire.BlobDone(DIGEST, len(DATA) - before, parent or "upload")
        yield wire.ImageDone(SPEC.reference, True, DIGEST, DIGEST, False)
        yield wire.Finished(len(DATA), 0.1)

    async def start_upload(self, digest: str) -> tuple[str, int]:
        return "/v2/x", len(self.spool)

    async def finish_upload(self, path: str, digest: str, offset: int, end: int, chunks: AsyncIterator[bytes]) -> None:
        assert offset == len(self.spool)
        async for chunk in chunks:
            self.spool += chunk
            self.changed.set()
            if self.breaks and len(self.spool) >= len(DATA) // 2:
                raise AgentUnreachable("cut")
        assert end == len(self.spool)
        if self.spool != DATA:
            raise DigestMismatch("wrong")


class World:
    """The fleet."""

    def __init__(self, **agents: dict[str, Any]) -> None:
        self.agents = {name: Agent(name, self, **how) for name, how in agents.items()}

    def agent(self, name: str) -> Agent:
        return self.agents[name]

    async def refresh(self, name: str) -> None:
        return None


def make(world: World, source: Source, **options: Any) -> Run:
    layer = Descriptor("application/vnd.oci.image.layer.v1.tar", DIGEST, len(DATA))
    specs = dict.fromkeys(world.agents, (SPEC,))
    peers = {name: peer(name) for name in world.agents}
    return Run(world, Cargo(specs, {DIGEST: (source, layer)}), peers, **options)  # type: ignore[arg-type]


def chain(*names: str) -> list[Step]:
    return [Step(name, tuple(reversed(names[:i]))) for i, name in enumerate(names)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody in these tests is worth waiting for."""
    monkeypatch.setattr(run_module, "PATIENCE_S", 0.5)


async def test_bytes_leave_the_controller_once() -> None:
    """With three nodes in a chain the source is read once; every node has the image."""
    world, source = World(a={}, b={}, c={}), Source()
    run = make(world, source)
    await run.go(chain("a", "b", "c"))
    assert all(outcome.error is None and outcome.images for outcome in run.outcomes.values())
    assert (source.sent, run.uploaded) == (len(DATA), len(DATA))
    assert [sorted(run.outcomes[name].sources) for name in "abc"] == [["upload"], ["a"], ["b"]]


async def test_star_reads_the_source_for_every_node() -> None:
    """The baseline sends N times."""
    world, source = World(a={}, b={}, c={}), Source()
    run = make(world, source, how="star")
    await run.go([Step("a"), Step("b"), Step("c")])
    assert source.sent == 3 * len(DATA)


async def test_broken_stream_resumes_where_it_ended() -> None:
    """A cut half way costs no byte twice."""
    world, source = World(a={"breaks": 1}), Source()
    run = make(world, source)
    await run.go(chain("a"))
    assert run.outcomes["a"].error is None
    assert source.sent == len(DATA)


async def test_dead_first_node_does_not_stop_the_others() -> None:
    """The first node dies: it alone fails, the next one is served by the controller."""
    world, source = World(a={"die": True}, b={}, c={}), Source()
    run = make(world, source)
    await run.go(chain("a", "b", "c"))
    assert isinstance(run.outcomes["a"].error, AgentUnreachable)
    assert run.outcomes["b"].error is None
    assert run.outcomes["c"].error is None
    assert source.sent == len(DATA)


async def test_second_want_of_a_blob_is_sent_to_the_first_holder() -> None:
    """Two nodes without peers want the same blob: the second is pointed to the first instead of a second upload."""
    world, source = World(a={}, b={}), Source()
    run = make(world, source)
    await run.go([Step("a"), Step("b")])
    assert source.sent == len(DATA)
    assert {
        peer.node for request in (*world.agents["a"].requests, *world.agents["b"].requests) for peer in request.peers
    }


async def test_refusal_of_an_agent_is_that_nodes_failure() -> None:
    """What an agent says in its last event is the node's error, at once and without another try."""
    world = World(a={"refuse": DigestMismatch("bad", node="a")}, b={})
    run = make(world, Source())
    await run.go([Step("a"), Step("b")])
    assert isinstance(run.outcomes["a"].error, DigestMismatch)
    assert len(world.agents["a"].requests) == 1
    assert run.outcomes["b"].error is None


async def test_broken_source_fails_every_unfinished_node() -> None:
    """A corrupt archive is named as the reason on all nodes."""
    world = World(a={}, b={})
    run = make(world, Source(ArchiveInvalid("x.tar is cut short.")))
    await run.go(chain("a", "b"))
    assert {type(outcome.error) for outcome in run.outcomes.values()} == {ArchiveInvalid}


async def test_cancelling_ends_all_streams() -> None:
    """Ctrl-C leaves no task behind."""
    world = World(a={}, b={})
    world.agents["a"].finish_upload = lambda *_: asyncio.sleep(60)  # type: ignore[method-assign]
    run = make(world, Source())
    task = asyncio.create_task(run.go(chain("a", "b")))
    await asyncio.wait_for(world.agents["b"].asked.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(t.done() for t in run._tasks)


async def test_timeout_names_the_node_and_keeps_what_arrived() -> None:
    """A run that takes too long fails with timed_out, not with an exception."""
    world = World(a={})
    world.agents["a"].finish_upload = lambda *_: asyncio.sleep(60)  # type: ignore[method-assign]
    run = make(world, Source())
    await run.go(chain("a"), timeout_s=0.2)
    error = run.outcomes["a"].error
    assert error is not None
    assert (error.code, error.fields["node"]) == ("timed_out", "a")
