"""The agent's own API, ``/limani/v1``: decode strictly, call, encode. Documents: ``limani.wire``."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from aiohttp import web

from limani import __version__, wire
from limani.agent import log
from limani.agent.auth import CREATE, DELETE, GET, UPDATE, Action
from limani.agent.grants import Grants
from limani.agent.metrics import Metrics
from limani.agent.peers import Peers
from limani.agent.room import disks, needed
from limani.agent.run import Emit, Run
from limani.agent.spool import Spool
from limani.engine.base import Engine
from limani.engine.target import Target
from limani.errors import BadInput, LimaniError
from limani.image.platform import Platform
from limani.image.reference import Reference

BEAT_S = 3.0
MAX_REQUEST = 64 << 20
"""Largest request document: hundreds of images with documents of hundreds of KB."""

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """A route as data. ``action``: what the caller must be allowed to do; None: open to everybody."""

    method: str
    path: str
    handler: Handler
    action: Action | None
    grantable: bool = False  # a grant naming the blob does instead of a token


@dataclass(frozen=True)
class Service:
    """What the routes work with."""

    node: str
    peer_url: str
    fingerprint: str
    engines: tuple[Engine, ...]  # the node's own first
    spool: Spool
    peers: Peers
    grants: Grants
    metrics: Metrics
    running: set[asyncio.Task[object]] = field(default_factory=set)  # seed requests under way

    def engine(self, name: str) -> Engine:
        """The engine of that name, or the node's own. Raises BadInput naming what there is."""
        if not name:
            return self.engines[0]
        for engine in self.engines:
            if engine.name == name:
                return engine
        have = ", ".join(engine.name for engine in self.engines)
        raise BadInput(f"Node {self.node} has no engine {name!r}; it has {have}.", engine=name)

    def run(self, engine: Engine, request: wire.SeedRequest, emit: Emit) -> Run:
        """A seed run of this node whose blobs are counted."""

        def counted(event: wire.Event) -> None:
            if isinstance(event, wire.BlobDone):
                self.metrics.blobs.labels(_kind(event.source)).inc()
            emit(event)

        def arrived(source: str, moved: int) -> None:
            self.metrics.bytes_in.labels(_kind(source)).inc(moved)

        return Run(engine, self.spool, self.peers, self.grants, request, counted, arrived)

    def routes(self) -> Sequence[Route]:
        """All routes of ``/limani/v1``."""
        return (
            Route("GET", "/limani/v1/status", self.status, GET),
            Route("GET", "/limani/v1/images", self.images, GET),
            Route("POST", "/limani/v1/plan", self.plan, GET),
            Route("POST", "/limani/v1/seed", self.seed, CREATE),
            Route("POST", "/limani/v1/grants", self.grant, CREATE),
            Route("POST", "/limani/v1/pin", self.pin, UPDATE),
            Route("POST", "/limani/v1/remove", self.remove, DELETE),
        )

    async def status(self, request: web.Request) -> web.Response:
        """wire.Status."""
        every = await asyncio.gather(*(engine.status() for engine in self.engines))
        answer = wire.Status(
            protocol=wire.PROTOCOL,
            version=__version__,
            node=self.node,
            platform=str(Platform.host()),
            engine=every[0],
            disks=await self.engines[0].disks(),
            peer_url=self.peer_url,
            fingerprint=self.fingerprint,
            engines=tuple(every),
        )
        return _json(answer)

    async def images(self, request: web.Request) -> web.Response:
        """wire.Inventory of ``?engine=``."""
        engine = self.engine(request.query.get("engine", ""))
        return _json(wire.Inventory(tuple(await engine.images())))

    async def plan(self, request: web.Request) -> web.Response:
        """wire.PlanRequest -> wire.Plan."""
        asked = await _body(request, wire.PlanRequest)
        engine = self.engine(asked.engine)
        targets = [Target.parse(spec) for spec in asked.images]
        plans = [await engine.plan(target) for target in targets]
        need = needed(engine, targets, plans)
        digests = {layer.descriptor.digest for target in targets for layer in target.layers}
        peer = None
        if asked.grant:
            peer = wire.Peer(self.node, self.peer_url, self.fingerprint, self.grants.issue(digests).token)
        plans = [self._with_spool(plan) for plan in plans]
        return _json(wire.Plan(tuple(plans), need.total, await disks(engine, self.spool, need), peer))

    def _with_spool(self, plan: wire.ImagePlan) -> wire.ImagePlan:
        """A plan that says how much of what is missing has arrived."""
        replace = msgspec.structs.replace
        here = (replace(blob, here=min(blob.size, self.spool.known(blob.digest))) for blob in plan.missing)
        return replace(plan, missing=tuple(here))

    async def grant(self, request: web.Request) -> web.Response:
        """wire.PlanRequest -> wire.Grant for every blob of its images."""
        asked = await _body(request, wire.PlanRequest)
        targets = [Target.parse(spec) for spec in asked.images]
        return _json(self.grants.issue(layer.descriptor.digest for target in targets for layer in target.layers))

    async def remove(self, request: web.Request) -> web.Response:
        """wire.RemoveRequest -> wire.RemoveAnswer."""
        asked = await _body(request, wire.RemoveRequest)
        log.note(references=asked.references, force=asked.force)
        engine = self.engine(asked.engine)

        async def one(reference: str) -> bool:
            return await engine.remove(_canonical(reference), force=asked.force)

        return _json(await asyncio.shield(_each(asked.references, one)))

    async def pin(self, request: web.Request) -> web.Response:
        """wire.PinRequest -> wire.RemoveAnswer."""
        asked = await _body(request, wire.PinRequest)
        log.note(references=asked.references, pinned=asked.pinned)
        engine = self.engine(asked.engine)

        async def one(reference: str) -> bool:
            return await engine.pin(_canonical(reference), asked.pinned)

        return _json(await asyncio.shield(_each(asked.references, one)))

    async def seed(self, request: web.Request) -> web.StreamResponse:
        """wire.SeedRequest -> a stream of events; what refuses the request at once is an ordinary error answer."""
        asked = await _body(request, wire.SeedRequest)
        events: asyncio.Queue[wire.Event] = asyncio.Queue()
        engine = self.engine(asked.engine)
        run = self.run(engine, asked, events.put_nowait)
        log.note(references=[spec.reference for spec in asked.images])
        try:
            await run.prepare()
            response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
            await response.prepare(request)
            await self._stream(response, run, events)
        finally:
            run.close()
        return response

    async def _stream(self, response: web.StreamResponse, run: Run, events: asyncio.Queue[wire.Event]) -> None:
        """Tell events as they come. The work is a child of this request: it ends when the caller goes away."""
        started = asyncio.get_running_loop().time()
        me = asyncio.current_task()
        assert me is not None
        self.running.add(me)
        self.metrics.running.inc()
        outcome = "interrupted"
        working = asyncio.create_task(_outcome(run, events))
        try:
            while True:
                try:
                    event = await asyncio.wait_for(events.get(), BEAT_S)
                except TimeoutError:
                    event = wire.Beat()
                await response.write(msgspec.json.encode(event) + b"\n")
                if isinstance(event, wire.Failed | wire.Finished):
                    outcome = "failed" if isinstance(event, wire.Failed) else "finished"
                    break
            await response.write_eof()
        finally:
            working.cancel()
            await asyncio.wait([working])
            self.running.discard(me)
            self.metrics.running.dec()
            self.metrics.runs.labels(outcome).observe(asyncio.get_running_loop().time() - started)

    async def stop(self, timeout_s: float) -> None:
        """End all seed runs in order: what they hold in an engine is given back before the engines are closed."""
        tasks = list(self.running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)


async def _outcome(run: Run, events: asyncio.Queue[wire.Event]) -> None:
    """Run to the end; an error becomes the last event."""
    try:
        await run.go()
    except LimaniError as error:
        events.put_nowait(wire.Failed(error.to_dict()))
    except Exception as error:
        events.put_nowait(wire.Failed(LimaniError(f"The agent failed: {error!r}.").to_dict()))
        raise


async def _each(references: Sequence[str], do: Callable[[str], Awaitable[bool]]) -> wire.RemoveAnswer:
    """Do something to every reference; one that fails does not stop the others."""
    results = []
    for reference in references:
        try:
            results.append(wire.Removed(reference, await do(reference)))
        except LimaniError as error:
            results.append(wire.Removed(reference, False, error.to_dict()))
    return wire.RemoveAnswer(tuple(results))


def _canonical(reference: str) -> str:
    """The name as engines keep it; ``sha256:...`` (an image without a name) stays."""
    return reference if reference.startswith("sha256:") else str(Reference.parse(reference))


async def _body(request: web.Request, kind: type[T]) -> T:
    """The request's document. Raises BadInput."""
    with contextlib.suppress(web.HTTPRequestEntityTooLarge):
        try:
            return msgspec.json.decode(await request.read(), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"The request is not a {kind.__name__}: {error}.") from error
    raise BadInput(f"The request is larger than {MAX_REQUEST} bytes.")


def _kind(source: str) -> str:
    """A source without the name of a node, which would make a time series each."""
    return source if source in ("upload", "spool", "store") else "peer"


def _json(document: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")
