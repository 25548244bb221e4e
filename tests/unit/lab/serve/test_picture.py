"""The live picture: what it makes of the API's and Docker's objects, and what it tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from limani.lab.serve import feed as feeds
from limani.lab.serve import sources
from limani.lab.serve.feed import Feed
from limani.lab.serve.picture import (
    ContainerView,
    NodeView,
    Picture,
    PodView,
    changes,
    container_view,
    node_view,
    pod_state,
    pod_view,
)

POD = PodView("web", "n1", "Running", 1, 1, 0, "web:1")
PODS = Picture(cluster="ok", namespace="pods", nodes=(NodeView("n1", True),), pods=(POD,))
DOCKER = Picture(docker="ok", containers=(ContainerView("page", "web:1", "running"),), images=("web:1",))


@pytest.mark.parametrize(
    ("metadata", "status", "word"),
    [
        ({"deletionTimestamp": "now"}, {"phase": "Running"}, "Terminating"),
        ({}, {"phase": "Pending"}, "Pending"),
        ({}, {}, "Unknown"),
        ({}, {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}, "ImagePullBackOff"),
        ({}, {"containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled"}}}]}, "OOMKilled"),
        (
            {},
            {"initContainerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
            "Init:CrashLoopBackOff",
        ),
        ({}, {"initContainerStatuses": [{"state": {"running": {}}, "ready": False}], "phase": "Pending"}, "Init"),
        ({}, {"initContainerStatuses": [{"state": {"terminated": {}}}], "phase": "Running"}, "Running"),
        ({}, {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}, "Running"),
    ],
)
def test_state_of_a_pod(metadata: dict[str, Any], status: dict[str, Any], word: str) -> None:
    """The word says what is the matter where the phase would not."""
    assert pod_state(metadata, status) == word


def test_views() -> None:
    """Names, counts and short image names; only lesson images of a node; exit codes and ports of a container."""
    pod = {
        "metadata": {"name": "web"},
        "spec": {"nodeName": "n1", "containers": [{"image": "limani.dev/lab/web:1"}]},
        "status": {"phase": "Running", "containerStatuses": [{"ready": True, "restartCount": 3, "state": {}}]},
    }
    assert pod_view(pod) == PodView("web", "n1", "Running", 1, 1, 3, "web:1")
    node = {
        "metadata": {"name": "n1"},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "images": [{"names": ["limani.dev/lab/web:1", "limani.dev/lab/web@sha256:0"]}, {"names": ["pause:3"]}],
        },
    }
    assert node_view(node) == NodeView("n1", True, ("web:1",))
    ended = {"Names": ["/a"], "Image": "limani.dev/lab/hello:1", "State": "exited", "Status": "Exited (137) now"}
    assert container_view(ended) == ContainerView("a", "hello:1", "exited", 137)
    published = {"PrivatePort": 8080, "PublicPort": 8080, "IP": "127.0.0.1"}
    running = {"Names": ["/p"], "Image": "x", "State": "running", "Status": "Up (healthy)", "Ports": [published]}
    assert container_view(running).ports == ("127.0.0.1:8080 → 8080",)
    assert container_view(running).exit is None


def keys(old: Picture, new: Picture) -> list[tuple[str, str]]:
    return [(change.key, change.message.removeprefix("serve.say.")) for change in changes(old, new)]


def test_what_is_told() -> None:
    """New, changed and gone things are told; what was there at the first look, and what stays as it is, is not."""
    assert keys(Picture(), PODS) == []
    assert keys(Picture(), DOCKER) == []
    assert keys(PODS, PODS) == []
    assert keys(PODS, replace(PODS, pods=(replace(POD, restarts=1),))) == [("pod/web", "pod")]
    assert keys(PODS, replace(PODS, pods=())) == [("pod/web", "pod_gone")]
    assert keys(PODS, replace(PODS, nodes=(NodeView("n1", False),))) == [("node/n1", "node_away")]
    assert keys(PODS, replace(PODS, cluster="away", pods=())) == []
    gone = replace(DOCKER, containers=(ContainerView("page", "web:1", "exited", 1),), images=("web:1", "mine"))
    assert keys(DOCKER, gone) == [("container/page", "container_exit"), ("image/mine", "image")]
    assert keys(DOCKER, replace(DOCKER, containers=())) == [("container/page", "container_gone")]
    assert keys(DOCKER, Picture(docker="away")) == []


async def collect(feed: Feed, until: int) -> list[tuple[float, str, Any]]:
    """Events with their times until that many were told in words."""
    loop, found = asyncio.get_running_loop(), []
    async with asyncio.timeout(20), aclosing(feed.stream()) as stream:
        async for text in stream:
            if not text.startswith("event:"):
                continue
            kind, data = text.removeprefix("event: ").split("\ndata: ")
            found.append((loop.time(), kind, json.loads(data)))
            if sum(kind == "say" for _, kind, _ in found) == until:
                break
    return found


async def test_at_most_one_message_in_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures come at once; words come gathered, the last state of each object, after a quiet time."""
    monkeypatch.setattr(feeds, "QUIET_S", 0.5)
    monkeypatch.setattr(feeds, "GATHER_S", 0.01)

    async def busy(feed: Feed) -> None:
        for restarts in range(10_000):
            feed.update(lambda before, count=restarts: replace(PODS, pods=(replace(POD, restarts=count),)))
            await asyncio.sleep(0.01)

    feed = Feed(lambda feed: [busy(feed)], lambda change: f"{change.key}:{change.values['restarts']}")
    found = await collect(feed, 3)
    told = [(at, data["text"]) for at, kind, data in found if kind == "say"]
    assert all(later - earlier >= 0.5 for (earlier, _), (later, _) in pairwise(told))
    assert all(text.count("pod/web") == 1 for _, text in told)
    assert sum(kind == "picture" for _, kind, _ in found) > 10
    assert feed.picture == Picture()  # the last page has gone, and so have the sources


async def test_a_page_is_told_of_idleness() -> None:
    """A shell ended for idleness says so to the page; an ordinary end does not."""
    feed = Feed(lambda feed: [], lambda change: "")
    async with asyncio.timeout(20), aclosing(feed.stream()) as stream:
        assert (await anext(stream)).startswith("event: picture")
        feed.ended("exit")
        feed.ended("idle")
        assert (await anext(stream)).startswith("event: idle")


class Session:
    """An API server with one watch that ends and a list that differs afterwards."""

    def __init__(self) -> None:
        self.lists = [["a", "b"], ["c"]]
        self.watched: list[str] = []

    async def get(self, path: str) -> dict[str, Any]:
        names = self.lists.pop(0)
        return {"metadata": {"resourceVersion": "7"}, "items": [pod(name) for name in names]}

    @asynccontextmanager
    async def watch(self, path: str, **params: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        self.watched.append(params["resourceVersion"])

        async def events() -> AsyncIterator[dict[str, Any]]:
            if len(self.watched) > 1:
                await asyncio.Event().wait()
            yield {"type": "DELETED", "object": pod("a")}
            yield {"type": "ADDED", "object": pod("z")}
            yield {"type": "ERROR", "object": {"code": 410}}

        yield events()


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"image": "x"}]}, "status": {"phase": "Pending"}}


async def test_follows_a_watch() -> None:
    """List, watch from its version, apply each event; a version the server has forgotten means: list again."""
    seen: list[list[str]] = []
    done = asyncio.Event()

    def update(change: Any) -> None:
        seen.append([view.name for view in change(Picture()).pods])
        if seen[-1] == ["c"]:
            done.set()

    session = Session()
    task = asyncio.ensure_future(sources._follow(session, "/pods", sources._pods("pods"), update))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [["a", "b"], ["b"], ["b", "z"], ["c"]]
