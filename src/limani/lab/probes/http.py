"""Requests a learner's browser would make."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

from limani.lab.probes import probe
from limani.lab.probes._docker import age, find, inside, none, runs, state, until
from limani.lab.record import Finding, Text, failed, passed
from limani.lab.world import World

if TYPE_CHECKING:
    from docker.models.containers import Container

TIMEOUT_S = 1.0
YOUNG_S = 0.8
"""So old, a container's program should have its port open."""
RETRY_S = 0.1
LISTEN = "0A"
"""State of a socket that waits for connections, in /proc/net/tcp."""
TOLD_BODY = 80


@probe
async def answers(
    world: World, *, url: str, status: int = 200, holds: str | None = None, container: str | None = None
) -> Finding:
    """GET ``url`` gives ``status`` and, with ``holds``, that text in the body.

    ``container``: which one should answer; where nothing does, its ports are looked at to say why.
    """
    wanted = Text("http.wanted", {"url": url, "status": status})
    if holds:
        wanted = Text("http.holds_wanted", {"url": url, "text": holds})
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            answer = await _get(client, url, await _patience(world, container))
    except httpx2.TransportError as error:
        return await _unanswered(world, url, error, wanted, container)
    if answer.status_code != status:
        return failed(Text("http.status", {"url": url, "status": answer.status_code}), wanted, "status")
    if holds and holds not in answer.text:
        body = " ".join(answer.text.split())[:TOLD_BODY]
        return failed(
            Text("http.body", {"url": url, "body": body}), wanted, await _why_without(world, holds, container)
        )
    return passed(Text("http.holds" if holds else "http.status", {"url": url, "status": status}), wanted)


async def _get(client: httpx2.AsyncClient, url: str, patience: float) -> httpx2.Response:
    """The answer. For ``patience`` seconds a refused connection is tried again."""
    end = time.monotonic() + patience
    while True:
        try:
            return await client.get(url)
        except httpx2.TransportError:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(RETRY_S)


async def _patience(world: World, name: str | None) -> float:
    """How long the program in a container that was started just now may still take to listen."""
    container = await find(world, name) if name else None
    if container is None:
        return 0
    await until(container, lambda: state(container)["Status"] != "restarting")
    return max(0.0, YOUNG_S - age(container)) if runs(container) else 0


async def _unanswered(world: World, url: str, error: httpx2.TransportError, wanted: Text, name: str | None) -> Finding:
    """Nobody answers: say so, and why where the container's ports tell it."""
    kind = "http.silent" if isinstance(error, httpx2.TimeoutException) else "http.refused"
    found = Text(kind, {"url": url})
    if name is None:
        return failed(found, wanted)
    container = await find(world, name)
    if container is None:
        return failed(none(name), wanted, "missing")
    port = str(urlsplit(url).port or 80)
    ports = [inner for inner, places in container.ports.items() if any(p["HostPort"] == port for p in places or ())]
    if not ports:
        return failed(Text("http.not_published", {"name": name, "port": port}), wanted, "not-published")
    inner = int(ports[0].partition("/")[0])
    listening = await _listening(container)
    if listening and inner not in listening:
        open_ports = ", ".join(map(str, sorted(listening)))
        values: dict[str, str | int] = {"name": name, "port": port, "inner": inner, "open": open_ports}
        return failed(Text("http.wrong_port", values), wanted, "wrong-port")
    return failed(found, wanted, "unanswered")


async def _listening(container: Container) -> set[int]:
    """Ports on which processes in the container wait for connections; empty where it cannot be asked."""
    tables = await asyncio.gather(*(inside(container, "cat", f"/proc/net/{name}") for name in ("tcp", "tcp6")))
    rows = [line.split() for table in tables for line in (table or "").splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == LISTEN}


async def _why_without(world: World, text: str, name: str | None) -> str:
    """The container was not given the text as a variable, or it was and shows something else."""
    container = await find(world, name) if name else None
    if container is None:
        return "text-missing"
    given = [item.partition("=")[2] for item in container.attrs["Config"].get("Env") or ()]
    return "text-missing" if text in given else "env-missing"
