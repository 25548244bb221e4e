"""Tells that something happened in a lesson's world: by the daemon's events and the API server's watches."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from limani.errors import LimaniError
from limani.lab.world import World

GATHER_S = 0.3
"""Things change in groups; what happens within this time is looked at once."""
UNTOLD_S = 10.0
"""What no event tells of (a process inside a container, a file) is looked at this often."""
AGAIN_S = 2.0
"""A stream that broke is opened again after this time."""
_KINDS = (
    "/api/v1/namespaces/{namespace}/pods",
    "/api/v1/namespaces/{namespace}/services",
    "/apis/apps/v1/namespaces/{namespace}/deployments",
    "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
    "/api/v1/nodes",
)


async def changes(world: World) -> AsyncIterator[None]:
    """One item now, and one whenever something has happened."""
    happened = asyncio.Event()
    tasks = [asyncio.create_task(_kubernetes(world, path, happened)) for path in _KINDS if world.namespace]
    if world.docker_host:
        tasks.append(asyncio.create_task(_docker(world, happened)))
    try:
        while True:
            happened.clear()
            yield
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(happened.wait(), UNTOLD_S)
                await asyncio.sleep(GATHER_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kubernetes(world: World, path: str, happened: asyncio.Event) -> None:
    session = await world.kube()
    while True:
        try:
            async with session.watch(path.format(namespace=world.namespace)) as events:
                async for _ in events:
                    happened.set()
        except LimaniError:
            happened.set()
            await asyncio.sleep(AGAIN_S)


async def _docker(world: World, happened: asyncio.Event) -> None:
    while True:
        await _docker_events(world, happened)
        happened.set()
        await asyncio.sleep(AGAIN_S)


async def _docker_events(world: World, happened: asyncio.Event) -> None:
    """The client's stream blocks, so a thread reads it; closing the stream ends the thread."""
    loop = asyncio.get_running_loop()
    streams: list[Any] = []
    try:
        await _in_thread(lambda: _read(world, streams, lambda: loop.call_soon_threadsafe(happened.set)))
    finally:
        for stream in streams:
            stream.close()


def _read(world: World, streams: list[Any], tell: Callable[[], object]) -> None:
    from docker import DockerClient
    from docker.errors import DockerException

    try:
        with contextlib.closing(DockerClient(base_url=world.docker_host)) as client:
            streams.append(client.events())
            for _ in streams[0]:
                tell()
    except (DockerException, OSError, ValueError, AttributeError):  # the last two: closed while it was read
        return


async def _in_thread(work: Callable[[], None]) -> None:
    """Run in a thread of its own, which ends with the process (one of the pool would be waited for)."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    def body() -> None:
        work()
        with contextlib.suppress(RuntimeError):  # the loop is closed when the watch has ended
            loop.call_soon_threadsafe(finish)

    threading.Thread(target=body, daemon=True, name="docker-events").start()
    await done
