"""Bringing the agents onto a cluster, waiting until they are ready, taking them away."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from limani.deploy.manifests import Wanted, render
from limani.errors import TimedOut
from limani.kube.apply import Change, apply, delete, path_of
from limani.kube.nodes import Node, list_nodes
from limani.kube.session import KubeSession

Object = dict[str, Any]


async def install(session: KubeSession, wanted: Wanted, *, check: bool) -> list[Change]:
    """Apply all objects (or find out what would change); does not wait."""
    namespace, *rest = render(wanted)
    first = await apply(session, namespace, check=check)
    *others, daemon_set = rest
    # The DaemonSet last: its pods need their account and roles from the first moment.
    changes = await asyncio.gather(*(apply(session, item, check=check) for item in others))
    return [first, *changes, await apply(session, daemon_set, check=check)]


async def remove(session: KubeSession, namespace: str, timeout_s: float, *, check: bool) -> list[Change]:
    """Delete all objects and wait until the namespace is gone. Raises TimedOut."""
    items = render(Wanted(image="none", namespace=namespace))
    top = [item for item in items if "namespace" not in item["metadata"]]
    changes = await asyncio.gather(*(delete(session, item, check=check) for item in top))
    if not check and any(change.changed for change in changes):
        await _gone(session, items[0], timeout_s)
    return list(changes)


async def _gone(session: KubeSession, item: Object, timeout_s: float) -> None:
    name = item["metadata"]["name"]
    try:
        async with asyncio.timeout(timeout_s):
            while (there := await session.find(path_of(item))) is not None:
                version = there["metadata"]["resourceVersion"]
                collection = path_of(item).rpartition("/")[0]
                query = {"fieldSelector": f"metadata.name={name}", "resourceVersion": version, "timeoutSeconds": "60"}
                async with session.watch(collection, **query) as events:
                    async for event in events:
                        if event["type"] == "DELETED":
                            return
    except TimeoutError as error:
        raise TimedOut(f"Namespace {name} was not gone after {timeout_s:.0f} s.", namespace=name) from error


async def wait_ready(session: KubeSession, namespace: str, timeout_s: float) -> list[Node]:
    """Wait until every node that is Ready has a ready agent of the newest template; returns all nodes.

    Returns early when only nodes that are not Ready are left; the caller sees those, and those that did not make it
    in time, by ``node.agent == ""`` and ``node.why``.
    """
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
    deadline = time.monotonic() + timeout_s
    query = {"fieldSelector": "metadata.name=limani-agent", "timeoutSeconds": "60"}
    while time.monotonic() < deadline:
        try:
            async with asyncio.timeout(deadline - time.monotonic()), session.watch(path, **query) as events:
                async for event in events:
                    if event["type"] in ("ADDED", "MODIFIED") and await _settled(session, namespace, event["object"]):
                        return await list_nodes(session, namespace)
        except TimeoutError:
            break
    return await list_nodes(session, namespace)


async def _settled(session: KubeSession, namespace: str, daemon_set: Object) -> bool:
    status, metadata = daemon_set.get("status", {}), daemon_set["metadata"]
    desired = status.get("desiredNumberScheduled", 0)
    if status.get("observedGeneration") != metadata.get("generation"):
        return False
    if not desired or status.get("updatedNumberScheduled", 0) < desired:
        return False
    ready = status.get("numberReady", 0)
    if ready == desired:
        return True
    nodes = await list_nodes(session, namespace)
    return all(node.agent or not node.ready for node in nodes)


def short(change: Change) -> dict[str, Any]:
    """A few facts of an object for the diff."""
    return {"before": _facts(change.before), "after": _facts(change.after)}


def _facts(item: Object | None) -> Any:
    if item is None:
        return None
    return {key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata")} or "exists"
