"""Carrying out a plan: one stream to every node, uploads where an agent asks for them, one outcome per node.

The nodes do the work; this side keeps the streams open, answers ``Want`` events and goes on after a break: what a node
has received stays in its spool, so a new stream resumes where the old one ended.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec

from limani import wire
from limani.errors import (
    AgentMissing,
    AgentUnreachable,
    Forbidden,
    KubeUnreachable,
    LimaniError,
    TimedOut,
    Unauthenticated,
)
from limani.fleet.agent import AgentClient
from limani.fleet.fleet import Fleet
from limani.image.manifest import Descriptor
from limani.image.source import Source
from limani.pace import Bucket
from limani.seed.plan import Spread, Step

PATIENCE_S = 30.0
"""How long a node may be out of reach before it counts as failed; what it has is kept."""
HOLDER_S = 10.0
"""How long another node's agent may take to answer before a blob is sent a second time instead."""
REDIRECTS = 3
BROKEN = (AgentUnreachable, AgentMissing, KubeUnreachable, TimedOut)
"""Errors after which trying again makes sense: the way broke, not the work."""


@dataclass
class Outcome:
    """What became of one node. ``moved``: digest -> bytes that crossed the network; ``sources``: from where."""

    images: dict[str, wire.ImageDone] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    seconds: float = 0.0
    error: LimaniError | None = None


@dataclass(frozen=True)
class Cargo:
    """What is to be put on the nodes: a spec list per node, and for every blob the source that has it."""

    specs: Mapping[str, tuple[wire.ImageSpec, ...]]
    blobs: Mapping[str, tuple[Source, Descriptor]]


class _Redirect(Exception):
    """A node wants a blob that was already brought to another one; it shall fetch it there."""

    def __init__(self, holder: str, digest: str) -> None:
        super().__init__(holder)
        self.holder, self.digest = holder, digest


class Run:
    """One run over a fleet. Create it, ``await go()``, read the outcomes."""

    def __init__(
        self,
        fleet: Fleet,
        cargo: Cargo,
        peers: Mapping[str, wire.Peer],
        *,
        rate: int = 0,
        engine: str = "",
        how: Spread = "chain",
        on_progress: Callable[[str, str, int, int], None] | None = None,
    ) -> None:
        """``peers``: how the nodes may fetch from each other, as far as known.

        ``on_progress(node, digest, received, size)``; ``rate``: bytes per second for the uplink and each node.
        """
        self._fleet = fleet
        self._cargo = cargo
        self._rate, self._engine, self._how = rate, engine, how
        self._on_progress = on_progress or (lambda node, digest, received, size: None)
        self._pace = Bucket(rate)
        self._brought: dict[str, str] = {}  # digest -> node the controller is uploading it to, or has
        self._dead: set[str] = set()
        self._peers = peers
        self._uplink = asyncio.Semaphore(2)
        self._sent_at = 0.0  # when a byte last left, to tell a slow upload from a dead one
        self._fatal: LimaniError | None = None
        self._name = secrets.token_hex(8)
        self._tasks: list[asyncio.Task[None]] = []
        self.outcomes: dict[str, Outcome] = {}
        self.uploaded = 0  # bytes this side has sent

    async def go(self, steps: Sequence[Step], others: Sequence[str] = (), timeout_s: float = 3600.0) -> None:
        """Run all steps at once, and a stream without blobs on ``others`` (nodes where only names or pins change).

        Never raises for a node's failure: it is in that node's outcome. A broken source is every unfinished node's.
        """
        every = [*steps, *(Step(name) for name in others)]
        self.outcomes = {step.node: Outcome() for step in every}
        deadline = time.monotonic() + timeout_s
        self._tasks = [asyncio.create_task(self._node(step, deadline)) for step in every]
        try:
            await asyncio.gather(*self._tasks, return_exceptions=False)
        except asyncio.CancelledError:
            if self._fatal is None:
                raise
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for name, outcome in self.outcomes.items():
            if outcome.error is None and len(outcome.images) < len(self._cargo.specs[name]):
                outcome.error = self._fatal or TimedOut(f"Node {name} did not finish.", node=name)

    # --- one node ---------------------------------------------------------------------------------------------------

    async def _node(self, step: Step, deadline: float) -> None:
        outcome = self.outcomes[step.node]
        begun = time.monotonic()
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - begun):
                await self._until_done(step, outcome)
        except TimeoutError:
            text = f"Node {step.node} was not done within the timeout; what has arrived is kept."
            outcome.error = TimedOut(text, node=step.node, timeout_s=round(deadline - begun))
        except LimaniError as error:
            error.fields.setdefault("node", step.node)
            outcome.error = error
        finally:
            outcome.seconds = time.monotonic() - begun
            if outcome.error is not None:
                self._dead.add(step.node)

    async def _until_done(self, step: Step, outcome: Outcome) -> None:
        extra: list[str] = []
        redirects = 0
        again = False
        heard = time.monotonic()
        pause = 0.2
        while True:
            try:
                async with aclosing(self._stream(step, extra, again)) as events:
                    async for event in events:
                        heard, pause = time.monotonic(), 0.2
                        if await self._event(step.node, event, outcome, redirects < REDIRECTS):
                            return
                raise AgentUnreachable(f"The agent of node {step.node} ended its stream early.", node=step.node)
            except _Redirect as redirect:
                again = True
                redirects += 1
                if await self._answers(redirect.holder):
                    extra = [redirect.holder, *(name for name in extra if name != redirect.holder)]
                else:
                    self._brought.pop(redirect.digest, None)  # the next who wants it gets it from here
                heard = time.monotonic()
            except BROKEN:
                again = True
                # Nothing announces that a node is back, so ask again after a growing pause.
                if time.monotonic() - heard > PATIENCE_S:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
                await self._fleet.refresh(step.node)

    async def _stream(self, step: Step, extra: Sequence[str], again: bool) -> AsyncGenerator[wire.AnyEvent]:
        """The events of one stream; the uploads it asked for end with it, the next one asks anew."""
        request = await self._request(step, extra, again)
        try:
            async with self._fleet.agent(step.node).seed(request) as events:
                async for event in events:
                    yield event
        finally:
            for task in [task for task in self._tasks if task.get_name().startswith(f"{step.node} ")]:
                task.cancel()

    async def _answers(self, name: str) -> bool:
        """Wait until an agent answers: it may be starting again right now. False if it does not within HOLDER_S."""
        pause = 0.2
        try:
            async with asyncio.timeout(HOLDER_S):
                while name not in self._dead:
                    try:
                        await self._fleet.agent(name).status()
                        return True
                    except BROKEN:
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, 2.0)
        except TimeoutError:
            pass
        return False

    async def _event(self, node: str, event: wire.AnyEvent, outcome: Outcome, may_redirect: bool) -> bool:
        """Take note of one event; True after the last one."""
        match event:
            case wire.Want():
                holder = self._brought.get(event.digest)
                if may_redirect and self._how != "star" and holder not in (None, node) and holder not in self._dead:
                    raise _Redirect(str(holder), event.digest)
                self._start_upload(node, event)
            case wire.Progress():
                self._on_progress(node, event.digest, event.received, event.size)
            case wire.BlobDone():
                # Of all streams of this run: the last word is the whole, unless the agent has started anew.
                outcome.moved[event.digest] = max(outcome.moved.get(event.digest, 0), event.moved)
                if event.moved:
                    outcome.sources.add(event.source)
            case wire.ImageDone():
                outcome.images[event.reference] = event
            case wire.Failed():
                raise LimaniError.from_dict(event.error)
            case wire.Finished():
                return True
        return False

    async def _request(self, step: Step, extra: Sequence[str], again: bool) -> wire.SeedRequest:
        """The request with grants of the peers that answer; a peer that does not is left out.

        ``again``: after a break, when a peer may have started anew, with another key and without the old grants.
        """
        wanted: dict[str, tuple[str, ...]] = {**dict.fromkeys(extra, ()), **dict.fromkeys(step.parents, ())}
        wanted.update({name: only for name, only in step.holders.items() if name not in wanted})
        names = [name for name in wanted if name not in self._dead]
        known = [self._peers.get(name) for name in names]
        found = await asyncio.gather(*(self._ask_peer(name) for name in names)) if again else known
        peers = (msgspec.structs.replace(peer, only=wanted[peer.node]) for peer in found if peer)
        specs = self._cargo.specs[step.node]
        return wire.SeedRequest(specs, tuple(peers), rate=self._rate, engine=self._engine, run=self._name)

    async def _ask_peer(self, name: str) -> wire.Peer | None:
        try:
            agent = self._fleet.agent(name)
            ask = wire.PlanRequest(images=self._cargo.specs[name], grant=True, engine=self._engine)
            return (await agent.plan(ask)).peer
        except LimaniError:
            return None

    # --- uploads ----------------------------------------------------------------------------------------------------

    def _start_upload(self, node: str, want: wire.Want) -> None:
        key = f"{node} {want.digest}"
        if any(task.get_name() == key and not task.done() for task in self._tasks):
            return
        self._brought[want.digest] = node
        self._tasks.append(asyncio.create_task(self._upload(self._fleet.agent(node), want), name=key))

    async def _upload(self, agent: AgentClient, want: wire.Want) -> None:
        """Bring one blob to one node; go on after a break. The agent's stream tells the outcome, so errors end here."""
        source, descriptor = self._cargo.blobs[want.digest]
        pause = 0.2
        async with self._uplink:
            self._sent_at = time.monotonic()
            while time.monotonic() - self._sent_at < PATIENCE_S:
                try:
                    await self._upload_rest(agent, source, descriptor)
                    return
                except BROKEN:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 2.0)
                except (Forbidden, Unauthenticated) as error:
                    self._fail_all(error)
                    return
                except LimaniError:
                    return  # the agent refused it and says why in its stream

    async def _upload_rest(self, agent: AgentClient, source: Source, descriptor: Descriptor) -> None:
        path, have = await agent.start_upload(descriptor.digest)
        rest = self._read(source, descriptor, have)
        await agent.finish_upload(path, descriptor.digest, have, descriptor.size, rest)

    async def _read(self, source: Source, descriptor: Descriptor, offset: int) -> AsyncIterator[bytes]:
        """The source's bytes at the allowed pace; an error of the source ends the whole run."""
        try:
            async for chunk in source.open(descriptor, offset):
                await self._pace.take(len(chunk))
                yield chunk
                self._sent_at = time.monotonic()
                self.uploaded += len(chunk)
        except LimaniError as error:
            self._fail_all(error)
            raise

    def _fail_all(self, error: LimaniError) -> None:
        if self._fatal is None:
            self._fatal = error
            for task in self._tasks:
                task.cancel()
