"""Puts the agent together: engines, spool, authority and routes become one aiohttp application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from aiohttp import web

from limani import wire
from limani.agent import log
from limani.agent.auth import CREATE, DELETE, GET, METRICS, Authority, Guard
from limani.agent.grants import Grants
from limani.agent.metrics import Metrics
from limani.agent.middleware import answer_errors, close_after_bulk, give_back_memory, log_requests
from limani.agent.peers import Peers
from limani.agent.routes import MAX_REQUEST, Route, Service
from limani.agent.spool import Spool
from limani.agent.store import NodeStore
from limani.distribution.server import routes as v2_routes
from limani.engine.base import Engine
from limani.errors import LimaniError

SWEEP_S = 60.0
STOP_S = 5.0
"""How long seed runs get to give back what they hold when the agent stops."""
GRANTED = "(grant)"
"""The user of a request that came with a grant instead of a token (no user of Kubernetes has such a name)."""


@dataclass(frozen=True)
class Parts:
    """What an agent is made of. ``engines``: the node's own first."""

    node: str
    peer_url: str
    fingerprint: str
    engines: tuple[Engine, ...]
    spool: Spool
    authority: Authority
    metrics: Metrics = field(default_factory=Metrics)


class Guarded:
    """A handler behind its action: the caller is checked before a byte of the body is read."""

    def __init__(self, route: Route, guard: Guard, grants: Grants) -> None:
        self.action = route.action
        self._handler, self._guard, self._grants = route.handler, guard, grants
        self.grantable = route.grantable

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer, or raise Unauthenticated or Forbidden."""
        if self.action is None:
            return await self._handler(request)
        grant = request.headers.get(wire.GRANT_HEADER)
        if grant and self.grantable:
            self._grants.use(grant, request.match_info["digest"])
            log.note(user=GRANTED, verb=self.action.verb)
        else:
            header = request.headers.get(wire.TOKEN_HEADER) or request.headers.get("Authorization")
            who = await self._guard.check(header, self.action)
            log.note(user=who.user, verb=self.action.verb)
        return await self._handler(request)


def build(parts: Parts) -> web.Application:
    """The application. Its start cleans up after a dead predecessor; its end closes everything it was given."""
    grants, peers, metrics = Grants(), Peers(), parts.metrics
    guard = Guard(parts.authority, parts.node, lambda verdict: metrics.verdicts.labels(verdict).inc())
    service = Service(
        node=parts.node,
        peer_url=parts.peer_url,
        fingerprint=parts.fingerprint,
        engines=parts.engines,
        spool=parts.spool,
        peers=peers,
        grants=grants,
        metrics=metrics,
    )
    passed = [give_back_memory(), log_requests(parts.node, metrics), answer_errors]
    app = web.Application(client_max_size=MAX_REQUEST, middlewares=passed)
    for route in (*_open_routes(parts), *service.routes(), *_v2(service)):
        app.router.add_route(route.method, route.path, Guarded(route, guard, grants).__call__)
    app.on_response_prepare.append(close_after_bulk)
    app.on_shutdown.append(lambda app: service.stop(STOP_S))
    app.cleanup_ctx.append(_life(parts, peers, guard, grants))
    return app


def _v2(service: Service) -> Iterator[Route]:
    """The routes of OCI Distribution over this node's store, with our actions."""
    stores = {patient: NodeStore(service, patient=patient) for patient in (False, True)}
    actions = {"pull": GET, "push": CREATE, "delete": DELETE}
    for route in v2_routes(lambda request: stores[log.noted("user") == GRANTED]):
        grantable = route.method in ("GET", "HEAD") and route.path.endswith("/blobs/{digest}")
        # An upload thrown away is the end of something the same caller began, not a removal from the node.
        action = CREATE if "/uploads/" in route.path else actions[route.action]
        yield Route(route.method, route.path, route.handler, action, grantable)


def _open_routes(parts: Parts) -> tuple[Route, ...]:
    async def alive(request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(request: web.Request) -> web.Response:
        status = await parts.engines[0].status()
        return web.Response(status=200 if status.ok else 503, text="ok\n" if status.ok else f"{status.error}\n")

    async def metrics(request: web.Request) -> web.Response:
        parts.metrics.spool.set(parts.spool.usage())
        return web.Response(body=parts.metrics.render(), headers={"Content-Type": parts.metrics.content_type})

    return (
        Route("GET", "/healthz", alive, None),
        Route("GET", "/readyz", ready, None),
        Route("GET", "/metrics", metrics, METRICS),
    )


def _life(parts: Parts, peers: Peers, guard: Guard, grants: Grants) -> Callable[[web.Application], AsyncIterator[None]]:
    async def life(app: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_clean(engine)) for engine in parts.engines]
        tasks.append(asyncio.create_task(_sweep(parts.spool, grants)))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await peers.close()
        await guard.close()
        for engine in parts.engines:
            await engine.close()
        parts.spool.close()

    return life


async def _clean(engine: Engine) -> None:
    """Drop what a dead predecessor left, once the engine answers."""
    while True:
        try:
            await engine.clean()
            return
        except LimaniError as error:
            log.event("clean", level=logging.WARNING, engine=engine.name, code=error.code, error=error.message)
        await asyncio.sleep(5)


async def _sweep(spool: Spool, grants: Grants) -> None:
    while True:
        spool.sweep(wanted=grants.names)
        await asyncio.sleep(SWEEP_S)
