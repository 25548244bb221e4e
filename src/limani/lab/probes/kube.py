"""Probes of Pods: Ready, what they answer, what they write, whether it is still the same Pod."""

from __future__ import annotations

import asyncio

from limani.lab.probes import _kube, _pods, probe
from limani.lab.record import Finding, Text, Value, failed, passed
from limani.lab.world import World

WEB_PORT = 8080
LOG_WAIT_S = 0.9


@probe
async def pod_ready(world: World, *, name: str, containers: int = 1) -> Finding:
    """The Pod is there, all its containers are Ready, and there are at least ``containers`` of them."""
    wanted = Text("kube.pod.wanted_ready", {"name": name})
    pod = await _kube.find(world, "pods", name)
    if pod is None:
        return await _missing(world, name, wanted)
    state = _pods.state(pod)
    count = len(pod["spec"]["containers"])
    facts: dict[str, Value] = {"name": name, "count": count, "wanted": containers}
    if state.ready and count < containers:
        return failed(Text("kube.pod.containers", facts), Text("kube.pod.wanted_containers", facts), "few-containers")
    if state.ready:
        return passed(state.text, wanted)
    return failed(state.text, wanted, state.cause, phase=pod.get("status", {}).get("phase"))


@probe
async def pod_answers(
    world: World, *, name: str, contains: tuple[str, ...], port: int = WEB_PORT, path: str = "/"
) -> Finding:
    """A request to the Pod's port is answered with 200 and a body with these texts."""
    wanted = Text("kube.answer.wanted", {"texts": ", ".join(contains), "port": port})
    answer = await _kube.ask_pod(world, name, port, path)
    if not answer.ok:
        detail = _kube.first_line(answer.body)
        return failed(Text("kube.answer.none", {"name": name, "port": port, "detail": detail}), wanted, "no-answer")
    missing = [text for text in contains if text not in answer.body]
    found = Text("kube.answer.body", {"body": " / ".join(answer.body.split("\n")).strip(" /")})
    return failed(found, wanted, "other-answer", missing=missing) if missing else passed(found, wanted)


@probe
async def pod_restarted(world: World, *, name: str, note: str) -> Finding:
    """A container of the Pod was restarted, and UID and IP are those the learner wrote into the file ``note``."""
    wanted = Text("kube.same.wanted", {"name": name})
    pod = await _kube.find(world, "pods", name)
    if pod is None:
        return await _missing(world, name, wanted)
    file = world.workspace / note
    words = file.read_text(encoding="utf-8", errors="replace").split() if file.is_file() else []
    if not words:
        return failed(Text("kube.same.no_note", {"file": note}), wanted, "no-note")
    uid, address = pod["metadata"]["uid"], pod.get("status", {}).get("podIP", "")
    restarts = sum(item.get("restartCount", 0) for item in _pods.container_statuses(pod))
    facts = {"name": name, "file": note, "uid": uid, "address": address, "restarts": restarts}
    if uid not in words:
        return failed(Text("kube.same.other", facts), wanted, "new-pod", **facts)
    if address not in words:
        return failed(Text("kube.same.no_address", facts), wanted, "no-note", **facts)
    if not restarts:
        return failed(Text("kube.same.never", facts), wanted, "not-restarted", **facts)
    return passed(Text("kube.same.found", facts), wanted, **facts)


@probe
async def pod_logs(world: World, *, name: str, contains: str, container: str | None = None) -> Finding:
    """The latest log lines of the Pod (of one container, or of any) have a text, or get it within a moment."""
    wanted = Text("kube.logs.wanted", {"name": name, "text": contains})
    pod = await _kube.find(world, "pods", name)
    if pod is None:
        return await _missing(world, name, wanted)
    containers = [container] if container else [item["name"] for item in pod["spec"]["containers"]]
    looked = await asyncio.gather(*(_log(world, name, item, contains) for item in containers))
    for item, line in zip(containers, looked, strict=True):
        if contains in line:
            return passed(Text("kube.logs.found", {"container": item, "line": line}), wanted)
    last = [(item, line) for item, line in zip(containers, looked, strict=True) if line]
    if not last:
        return failed(Text("kube.logs.empty", {"name": name}), wanted, "other-logs")
    return failed(Text("kube.logs.other", {"container": last[-1][0], "line": last[-1][1]}), wanted, "other-logs")


async def _log(world: World, name: str, container: str, wanted: str) -> str:
    """The line with ``wanted``, else the last line. Follows the log for LOG_WAIT_S: programs need a moment to speak."""
    where = _kube.path(world, "pods", name, "log")
    last = ""
    try:
        async with asyncio.timeout(LOG_WAIT_S):
            async for line in _kube.lines(await world.kube(), where, container=container, tailLines="20", follow="1"):
                last = line.strip() or last
                if wanted in line:
                    break
    except TimeoutError:
        pass
    return last


async def _missing(world: World, name: str, wanted: Text) -> Finding:
    """No such Pod: say so, and whether it went into the namespace ``default`` by mistake."""
    facts = {"name": name, "namespace": world.namespace or ""}
    if await _kube.find(world, "pods", name, namespace="default"):
        return failed(Text("kube.pod.elsewhere", facts), wanted, "other-namespace")
    return failed(Text("kube.pod.missing", facts), wanted, "missing")
