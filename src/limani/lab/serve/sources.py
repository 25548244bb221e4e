"""Where the live picture comes from: a watch of the Kubernetes API and the events of the Docker daemon."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from limani.errors import LimaniError
from limani.kube.session import KubeSession, load_config
from limani.lab.serve import picture
from limani.lab.serve.picture import Picture

# Between attempts to reach something that does not answer; there is no event that says it is back.
AGAIN_S = 2.0
DOCKER_TIMEOUT_S = 10
Update = Callable[[Callable[[Picture], Picture]], None]
"""Takes a function from the picture so far to the next one."""


async def cluster(kubeconfig: Path, update: Update) -> None:
    """Keep nodes and pods of the lesson's namespace up to date until cancelled."""
    while True:
        try:
            config = await asyncio.to_thread(load_config, str(kubeconfig))
            namespace = config.namespace or "default"
            async with KubeSession(config) as session, asyncio.TaskGroup() as group:
                group.create_task(_follow(session, "/api/v1/nodes", _nodes, update))
                path = f"/api/v1/namespaces/{namespace}/pods"
                group.create_task(_follow(session, path, _pods(namespace), update))
        except* (LimaniError, OSError):
            update(lambda before: replace(before, cluster="away"))
        await asyncio.sleep(AGAIN_S)


Draw = Callable[[Mapping[str, Mapping[str, Any]]], Callable[[Picture], Picture]]


def _nodes(objects: Mapping[str, Mapping[str, Any]]) -> Callable[[Picture], Picture]:
    views = tuple(picture.node_view(objects[name]) for name in sorted(objects))
    return lambda before: replace(before, cluster="ok", nodes=views)


def _pods(namespace: str) -> Draw:
    def draw(objects: Mapping[str, Mapping[str, Any]]) -> Callable[[Picture], Picture]:
        views = tuple(picture.pod_view(objects[name]) for name in sorted(objects))
        return lambda before: replace(before, cluster="ok", namespace=namespace, pods=views)

    return draw


async def _follow(session: KubeSession, path: str, draw: Draw, update: Update) -> None:
    """List, then watch from there; list again when the server ends the watch or has forgotten the version."""
    while True:
        listed = await session.get(path)
        objects = {item["metadata"]["name"]: item for item in listed.get("items", [])}
        update(draw(objects))
        version = listed["metadata"]["resourceVersion"]
        async with session.watch(path, resourceVersion=version) as events:
            async for event in events:
                if event["type"] == "ERROR":
                    break
                name = event["object"]["metadata"]["name"]
                if event["type"] == "DELETED":
                    objects.pop(name, None)
                else:
                    objects[name] = event["object"]
                update(draw(objects))


async def docker(host: str, update: Update) -> None:
    """Keep containers and images of the daemon up to date until cancelled."""
    from docker import DockerClient
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    while True:
        try:
            client = await asyncio.to_thread(DockerClient, base_url=host, timeout=DOCKER_TIMEOUT_S)
            try:
                async for _event in _events(client):
                    containers, images = await asyncio.to_thread(_look, client)
                    views = {"containers": containers, "images": images}
                    update(lambda before, views=views: replace(before, docker="ok", **views))  # type: ignore[misc]
            finally:
                client.close()
        except (DockerException, RequestException, OSError):
            pass
        update(lambda before: replace(before, docker="away", containers=(), images=()))
        await asyncio.sleep(AGAIN_S)


async def _events(client: Any) -> AsyncIterator[object]:
    """One item at once, then one for each batch of events; a thread reads the stream."""
    loop, changed, ended = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    stream = await asyncio.to_thread(client.events)

    def end() -> None:
        ended.set()
        changed.set()

    def read() -> None:
        with contextlib.suppress(Exception):  # closed by us or by the daemon: ended says so
            for _event in stream:
                loop.call_soon_threadsafe(changed.set)
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(end)

    reader = loop.run_in_executor(None, read)
    try:
        changed.set()
        while True:
            await changed.wait()
            if ended.is_set():
                return
            changed.clear()
            yield None
    finally:
        stream.close()
        await asyncio.shield(reader)


def _look(client: Any) -> tuple[tuple[picture.ContainerView, ...], tuple[str, ...]]:
    containers = [
        picture.container_view(one)
        for one in client.api.containers(all=True)
        if str(one.get("Image", "")).startswith(picture.OURS)
    ]
    names = (name for image in client.api.images() for name in image.get("RepoTags") or [])
    return tuple(sorted(containers, key=lambda one: one.name)), picture.lesson_images(names)
