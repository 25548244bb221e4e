"""Probes of the cluster as a whole: its nodes, what the learner answered about it, a kubeconfig the learner made."""

from __future__ import annotations

import asyncio
import unicodedata
from datetime import UTC, datetime
from typing import Any

from limani.errors import KubeconfigInvalid, LimaniError
from limani.kube.session import KubeSession, load_config
from limani.lab.probes import _kube, _pods, probe
from limani.lab.record import Finding, Text, failed, passed
from limani.lab.world import World

IDENTITY = "/api/v1/namespaces/kube-system"
"""The UID of this namespace tells one cluster from another."""
Object = dict[str, Any]


@probe
async def nodes_ready(world: World, *, at_least: int = 1) -> Finding:
    """So many nodes are there; all of them are Ready and take new Pods."""
    wanted = Text("cluster.nodes.wanted", {"count": at_least})
    nodes = list((await (await world.kube()).get("/api/v1/nodes")).get("items") or ())
    for node in nodes:
        name, ready = node["metadata"]["name"], _pods.condition(node, "Ready")
        if ready.get("status") == "Unknown":
            since = _pods.seconds_since(ready["lastTransitionTime"], datetime.now(UTC))
            return failed(Text("cluster.node.silent", {"name": name, "seconds": since}), wanted, "node-silent")
        if ready.get("status") != "True":
            text = Text("cluster.node.not_ready", {"name": name, "message": ready.get("message", "")})
            return failed(text, wanted, "node-not-ready")
    for node in nodes:
        if node["spec"].get("unschedulable"):
            return failed(Text("cluster.node.cordoned", {"name": node["metadata"]["name"]}), wanted, "cordoned")
    found = Text("cluster.nodes.ready", {"names": ", ".join(node["metadata"]["name"] for node in nodes)})
    return passed(found, wanted) if len(nodes) >= at_least else failed(found, wanted, "few-nodes")


@probe
async def answer(world: World, *, key: str, accepted: tuple[str, ...], configmap: str = "answers") -> Finding:
    """The learner wrote one of the accepted answers into the ConfigMap, under this key."""
    wanted = Text("cluster.answer.wanted", {"name": configmap, "key": key})
    found = await _kube.find(world, "configmaps", configmap)
    if found is None:
        facts = {"name": configmap, "namespace": world.namespace or ""}
        return failed(Text("cluster.answer.no_map", facts), wanted, "no-answers")
    given = str((found.get("data") or {}).get(key, "")).strip()
    if not plain(given).strip("?"):
        return failed(Text("cluster.answer.none", {"key": key}), wanted, "not-answered")
    text = Text("cluster.answer.given", {"key": key, "answer": given})
    if plain(given) not in {plain(item) for item in accepted}:
        return failed(text, wanted, "wrong-answer", answer=given)
    return passed(text, wanted)


@probe
async def kubeconfig(world: World, *, file: str, namespace: str) -> Finding:
    """A kubeconfig in the workspace leads to the lab's cluster, with this namespace as its default."""
    wanted = Text("cluster.kubeconfig.wanted", {"file": file, "namespace": namespace})
    path = world.workspace / file
    if not path.is_file():
        return failed(Text("cluster.kubeconfig.missing", {"file": file}), wanted, "missing")
    try:
        config = await asyncio.to_thread(load_config, str(path))
        async with KubeSession(config) as session:
            identity = await session.get(IDENTITY)
    except KubeconfigInvalid as error:
        return failed(Text("cluster.kubeconfig.unusable", {"file": file, "reason": error.message}), wanted, "unusable")
    except LimaniError as error:
        return failed(Text("cluster.kubeconfig.unusable", {"file": file, "reason": error.message}), wanted, "no-way-in")
    if identity["metadata"]["uid"] != (await (await world.kube()).get(IDENTITY))["metadata"]["uid"]:
        return failed(Text("cluster.kubeconfig.other_cluster", {"file": file}), wanted, "other-cluster")
    default = (config.context.namespace if config.context else None) or "default"
    found = Text("cluster.kubeconfig.namespace", {"file": file, "namespace": default})
    return passed(found, wanted) if default == namespace else failed(found, wanted, "other-namespace")


def plain(text: str) -> str:
    """An answer without what does not matter: case, accents, blanks, hyphens and the prefix ``kube-``."""
    bare = "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))
    return "".join(c for c in bare.removeprefix("kube-") if c not in " -_.\"'`")
