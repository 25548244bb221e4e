"""Probes of Services: behind which Pods they stand, and requests sent to them from inside the cluster."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from limani.lab.probes import _kube, _pods, probe
from limani.lab.record import Finding, Text, Value, failed, passed, unknown
from limani.lab.world import World

NAME_LABEL = "kubernetes.io/service-name"
ROUNDS, AT_ONCE = 3, 4
"""So many more requests, to meet other Pods: 13 answers of one and the same of three happen once in 500,000 times."""
PAUSE_S = 0.2
"""Before asking again: kube-proxy needs a moment to learn of a change."""
ANSWER_S = 0.6
"""A Pod of the lab answers in hundredths of a second, and a Service without one is refused as fast."""
Object = dict[str, Any]


@probe
async def endpoints(world: World, *, name: str, at_least: int = 1) -> Finding:
    """The Service leads to so many ready Pods."""
    wanted = Text("kube.service.wanted_endpoints", {"name": name, "count": at_least})
    service = await _kube.find(world, "services", name)
    if service is None:
        return failed(_missing(world, name), wanted, "missing")
    ready = sorted(await _ready_addresses(world, name))
    facts: dict[str, Value] = {"name": name, "count": len(ready), "addresses": ", ".join(ready)}
    if len(ready) >= at_least:
        return passed(Text("kube.service.endpoints", facts), wanted, **facts)
    labels = service["spec"].get("selector") or {}
    if not labels:
        return failed(Text("kube.service.no_selector", facts), wanted, "no-selector")
    facts["selector"] = _kube.selector(labels)
    pods = await _kube.objects(world, "pods", labels)
    if not pods:
        there = await _kube.objects(world, "pods")
        known = sorted({f"app={pod['metadata']['labels']['app']}" for pod in there if _label(pod)})
        facts["known"] = ", ".join(known) or "-"
        return failed(Text("kube.service.selects_nothing", facts), wanted, "selector", **facts)
    states = [state for state in map(_pods.state, pods) if not state.ready]
    if states:
        facts["trouble"] = states[0].text
        return failed(Text("kube.service.not_ready", facts), wanted, "not-ready")
    return failed(Text("kube.service.few", facts), wanted, "few-pods", **facts)


@probe
async def answers(world: World, *, url: str, hosts: int = 1, client: str = "client") -> Finding:
    """Requests from the Pod ``client`` to a URL are answered, by at least so many different Pods."""
    wanted = Text("kube.service.wanted_answers", {"url": url, "hosts": hosts})
    name = (urlsplit(url).hostname or "").partition(".")[0]
    if await _kube.find(world, "pods", client) is None:
        return unknown(Text("kube.service.no_client", {"name": client}), wanted)
    # Not asked while there is no such Service: the cluster's DNS would remember for seconds that there is none.
    if await _kube.find(world, "services", name) is None:
        return failed(_missing(world, name), wanted, "missing")
    seen, problem = await _ask(world, client, url, hosts)
    facts: dict[str, Value] = {"url": url, "count": len(seen), "hosts": ", ".join(sorted(seen))}
    if len(seen) >= hosts:
        return passed(Text("kube.service.answered", facts), wanted)
    if seen:
        return failed(Text("kube.service.one_host", facts), wanted, "few-pods")
    facts["detail"] = problem
    port = await _dead_port(world, client, name)
    if port:
        return failed(Text("kube.service.dead_port", {**facts, "port": port, "name": name}), wanted, "target-port")
    return failed(Text("kube.service.unanswered", facts), wanted, "no-answer")


@probe
async def node_port(world: World, *, name: str, client: str = "client") -> Finding:
    """The Service answers on its port of every node's own address."""
    wanted = Text("kube.service.wanted_node_port", {"name": name})
    service = await _kube.find(world, "services", name)
    if service is None:
        return failed(_missing(world, name), wanted, "missing")
    if await _kube.find(world, "pods", client) is None:
        return unknown(Text("kube.service.no_client", {"name": client}), wanted)
    spec = service["spec"]
    port = next((item["nodePort"] for item in spec.get("ports") or () if item.get("nodePort")), None)
    if port is None:
        return failed(Text("kube.service.type", {"name": name, "type": spec.get("type", "")}), wanted, "no-node-port")
    addresses = await _node_addresses(world)
    results = await asyncio.gather(*(_ask(world, client, f"http://{ip}:{port}/", 1) for ip in addresses))
    for ip, (seen, problem) in zip(addresses, results, strict=True):
        if not seen:
            facts = {"url": f"http://{ip}:{port}/", "detail": problem}
            return failed(Text("kube.service.unanswered", facts), wanted, "no-answer")
    urls = ", ".join(f"http://{ip}:{port}/" for ip in addresses)
    return passed(Text("kube.service.node_port", {"urls": urls}), wanted, port=port)


@probe
async def headless(world: World, *, name: str, port: int, client: str = "client") -> Finding:
    """The Service has no address of its own, and its name leads straight to the Pods' port."""
    wanted = Text("kube.service.wanted_headless", {"name": name})
    service = await _kube.find(world, "services", name)
    if service is None:
        return failed(_missing(world, name), wanted, "missing")
    address = service["spec"].get("clusterIP", "")
    if address != "None":
        facts = {"name": name, "address": address}
        return failed(Text("kube.service.has_address", facts), wanted, "not-headless")
    return await answers(world, url=f"http://{name}:{port}/", client=client)


async def _ask(world: World, client: str, url: str, hosts: int) -> tuple[set[str], str]:
    """(Hosts that answered, the problem where none did). Only after an answer more requests follow, to meet others."""
    first = await _one(world, client, url)
    if not first.ok:
        await asyncio.sleep(PAUSE_S)
        first = await _one(world, client, url)
    if not first.ok:
        return set(), _kube.first_line(first.body) or str(first.status)
    seen = {_host(first)}
    for _ in range(ROUNDS):
        if len(seen) >= hosts:
            break
        more = await asyncio.gather(*(_one(world, client, url) for _ in range(AT_ONCE)))
        seen |= {_host(answer) for answer in more if answer.ok}
    return seen, ""


async def _one(world: World, client: str, url: str) -> _kube.Answer:
    """One request; no answer within ANSWER_S is none."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return await _kube.ask_from_pod(world, client, url)
    except TimeoutError:
        return _kube.Answer(0, f"no answer within {ANSWER_S} s")


def _host(answer: _kube.Answer) -> str:
    return dict(line.partition(" ")[::2] for line in answer.body.splitlines()).get("host", "?")


async def _dead_port(world: World, client: str, service: str) -> int | None:
    """The port the Service sends to, if the Pods themselves do not answer there."""
    for item in await _kube.objects(world, "endpointslices", {NAME_LABEL: service}):
        for port in item.get("ports") or ():
            for endpoint in item.get("endpoints") or ():
                answer = await _one(world, client, f"http://{endpoint['addresses'][0]}:{port['port']}/")
                return None if answer.ok else int(port["port"])
    return None


async def _ready_addresses(world: World, service: str) -> set[str]:
    found = await _kube.objects(world, "endpointslices", {NAME_LABEL: service})
    return {
        address
        for item in found
        for endpoint in item.get("endpoints") or ()
        if endpoint.get("conditions", {}).get("ready", True)
        for address in endpoint["addresses"]
    }


async def _node_addresses(world: World) -> list[str]:
    nodes = (await (await world.kube()).get("/api/v1/nodes")).get("items") or ()
    return [
        address["address"]
        for node in nodes
        for address in node.get("status", {}).get("addresses") or ()
        if address["type"] == "InternalIP" and "." in address["address"]
    ]


def _label(pod: Object) -> bool:
    return "app" in pod["metadata"].get("labels", {})


def _missing(world: World, name: str) -> Text:
    return Text("kube.service.missing", {"name": name, "namespace": world.namespace or ""})
