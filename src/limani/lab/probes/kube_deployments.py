"""Probes of Deployments: a finished rollout, what all its Pods answer, its revisions, requests lost on the way."""

from __future__ import annotations

import asyncio
from typing import Any

from limani.lab.probes import _kube, _load, _pods, probe
from limani.lab.record import Finding, Text, Value, failed, passed, unknown
from limani.lab.world import World

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
Object = dict[str, Any]


@probe
async def complete(world: World, *, name: str, replicas: int) -> Finding:
    """So many Pods are wanted, all of them are of the newest revision, and all are Ready."""
    wanted = Text("kube.deployment.wanted", {"name": name, "replicas": replicas})
    deployment = await _kube.find(world, "deployments", name)
    if deployment is None:
        return await _missing(world, name, wanted)
    spec, status = deployment["spec"], deployment.get("status", {})
    facts: dict[str, Value] = {
        "name": name,
        "replicas": spec.get("replicas", 1),
        "updated": status.get("updatedReplicas", 0),
        "ready": status.get("readyReplicas", 0),
        "all": status.get("replicas", 0),
    }
    if spec.get("paused") and facts["updated"] != facts["replicas"]:
        return failed(Text("kube.deployment.paused", facts), wanted, "paused", **facts)
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    done = facts["updated"] == facts["ready"] == facts["all"] == facts["replicas"]
    if not (seen and done):
        return await _unfinished(world, deployment, facts, wanted)
    if facts["replicas"] != replicas:
        return failed(Text("kube.deployment.state", facts), wanted, "scale", **facts)
    return passed(Text("kube.deployment.state", facts), wanted, **facts)


@probe
async def all_answer(world: World, *, name: str, contains: str, port: int = 8080) -> Finding:
    """Each Pod of the Deployment answers with this text."""
    wanted = Text("kube.deployment.wanted_answer", {"name": name, "text": contains})
    deployment = await _kube.find(world, "deployments", name)
    pods = await _pods_of(world, deployment) if deployment else []
    if not pods:
        return await _missing(world, name, wanted) if not deployment else failed(_no_pods(name), wanted, "no-pods")
    names = [pod["metadata"]["name"] for pod in pods]
    answers = await asyncio.gather(*(_kube.ask_pod(world, pod, port) for pod in names))
    for pod, answer in zip(names, answers, strict=True):
        if not answer.ok or contains not in answer.body:
            facts = {"name": pod, "body": _kube.first_line(answer.body)}
            return failed(Text("kube.deployment.other_answer", facts), wanted, "other-version")
    return passed(Text("kube.deployment.answers", {"count": len(names), "text": contains}), wanted)


@probe
async def revisions(world: World, *, name: str, at_least: int = 2) -> Finding:
    """The Deployment remembers so many revisions: it was changed, not made anew."""
    wanted = Text("kube.deployment.wanted_revisions", {"name": name, "count": at_least})
    deployment = await _kube.find(world, "deployments", name)
    if deployment is None:
        return await _missing(world, name, wanted)
    numbers = sorted(_revision(item) for item in await _replica_sets(world, deployment))
    found = Text("kube.deployment.revisions", {"list": ", ".join(map(str, numbers)) or "-"})
    return passed(found, wanted) if len(numbers) >= at_least else failed(found, wanted, "no-history")


@probe
async def no_request_lost(world: World, *, recorder: str, before: str, after: str) -> Finding:
    """While the answers changed from ``before`` to ``after`` for good, every request was answered.

    ``recorder``: a Pod that sends requests all the time and logs when the answers change (see ``_load``).
    """
    wanted = Text("kube.load.wanted", {"before": before, "after": after})
    if await _kube.find(world, "pods", recorder) is None:
        return unknown(Text("kube.load.gone", {"name": recorder}), wanted)
    log = (await _kube.read(await world.kube(), _kube.path(world, "pods", recorder, "log"))).body
    change = _load.last_change(log, before, after)
    if change is None:
        now = {"before": before, "after": after, "now": _load.last_answer(log)}
        return failed(Text("kube.load.never", now), wanted, "no-change")
    facts: dict[str, Value] = {"answered": change.answered, "lost": change.lost}
    found = Text("kube.load.found", facts)
    return failed(found, wanted, "lost", **facts) if change.lost else passed(found, wanted, **facts)


async def _unfinished(world: World, deployment: Object, facts: dict[str, Value], wanted: Text) -> Finding:
    """A rollout that goes on or is stuck: the newest revision's Pods tell why."""
    failure = _pods.condition(deployment, "ReplicaFailure")
    if failure.get("status") == "True":
        text = Text("kube.deployment.no_pods_made", {**facts, "message": failure.get("message", "")})
        return failed(text, wanted, "cannot-create", **facts)
    sets = sorted(await _replica_sets(world, deployment), key=_revision)
    label = sets[-1]["metadata"]["labels"].get(HASH, "") if sets else ""
    pods = [pod for pod in await _pods_of(world, deployment) if pod["metadata"]["labels"].get(HASH) == label]
    states = [state for state in map(_pods.state, pods) if not state.ready]
    states.sort(key=lambda state: state.cause is None)
    text = Text("kube.deployment.state", facts)
    if not states:
        return failed(text, wanted, None, **facts)
    trouble = Text("kube.deployment.trouble", {"state": text, "trouble": states[0].text})
    return failed(trouble, wanted, states[0].cause, **facts)


async def _replica_sets(world: World, deployment: Object) -> list[Object]:
    """The ReplicaSets the Deployment owns."""
    uid = deployment["metadata"]["uid"]
    found = await _kube.objects(world, "replicasets", deployment["spec"]["selector"].get("matchLabels"))
    return [item for item in found if any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences", ()))]


async def _pods_of(world: World, deployment: Object) -> list[Object]:
    """The Pods of the Deployment that are not being deleted."""
    found = await _kube.objects(world, "pods", deployment["spec"]["selector"].get("matchLabels"))
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def _revision(item: Object) -> int:
    return int(item["metadata"].get("annotations", {}).get(REVISION, 0))


def _no_pods(name: str) -> Text:
    return Text("kube.deployment.no_pods", {"name": name})


async def _missing(world: World, name: str, wanted: Text) -> Finding:
    """No such Deployment; a bare Pod of that name is a usual mistake."""
    facts = {"name": name, "namespace": world.namespace or ""}
    if await _kube.find(world, "pods", name):
        return failed(Text("kube.deployment.only_pod", facts), wanted, "bare-pod")
    return failed(Text("kube.deployment.missing", facts), wanted, "missing")
