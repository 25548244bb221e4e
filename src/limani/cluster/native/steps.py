"""Bringing a cluster up: a list of steps sharing one context, each of which may be run again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limani.cluster.command import run
from limani.cluster.native import cgroups, control, dns, images, network, objects
from limani.cluster.native import node as nodes
from limani.cluster.native.bootscript import Host
from limani.cluster.native.cluster import NativeCluster, await_true, parallel
from limani.cluster.native.gate import close_gate, open_gate
from limani.errors import KubeError, TimedOut

_CAP_SYS_RESOURCE = 24
_DNS_NAME = "kubernetes.default.svc.cluster.local"


@dataclass
class Context:
    """What the steps share. ``deadline`` is in ``time.monotonic()``; ``seconds`` collects how long each step took."""

    cluster: NativeCluster
    deadline: float
    progress: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def left_s(self) -> float:
        """Seconds left, at least a tenth."""
        return max(self.deadline - time.monotonic(), 0.1)


@dataclass(frozen=True)
class Step:
    """One step by name."""

    name: str
    run: Callable[[Context], None]


def run_steps(context: Context) -> None:
    """Run all steps in order; the first failure is raised as it is."""
    for step in STEPS:
        context.progress(step.name)
        began = time.monotonic()
        step.run(context)
        context.seconds[step.name] = round(time.monotonic() - began, 3)


def host() -> Host:
    """What of this machine the nodes' configuration depends on (capabilities(7): CapEff in /proc/self/status)."""
    status = Path("/proc/self/status").read_text()
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    may_raise = bool(effective >> _CAP_SYS_RESOURCE & 1)
    return Host(sys.executable, may_raise, tuple(cgroups.hierarchies()))


def _files(context: Context) -> None:
    cluster = context.cluster
    cluster.layout.run.mkdir(parents=True, exist_ok=True)
    control.write_certificates(cluster.spec, cluster.layout)
    control.write_configuration(cluster.spec, cluster.layout, sys.executable)
    images.write_pause(cluster.layout.state / "pause.tar")
    this = host()
    for node in cluster.spec.node_list:
        nodes.write(cluster.spec, cluster.layout, node, this)
        _disk(cluster, node.name)


def _disk(cluster: NativeCluster, name: str) -> None:
    size, file = cluster.node(name).disk_bytes, cluster.layout.node(name).disk_file
    if size is None or file.exists():
        return
    partial = file.with_suffix(".partial")
    with partial.open("wb") as disk:
        disk.truncate(size)
    run(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", str(partial)])
    partial.rename(file)


def _network(context: Context) -> None:
    network.up_host(context.cluster.spec)


def _control_plane(context: Context) -> None:
    close_gate(context.cluster.layout.api_gate)
    context.cluster.start_control()


def _nodes(context: Context) -> None:
    cluster = context.cluster

    def one(name: str) -> None:
        cluster.start_node(name, gate=True)
        await_true(lambda: cluster.socket(name).exists(), context.left_s, f"containerd of {name}")
        cluster.load(cluster.layout.state / "pause.tar", [name])

    parallel(one, [node.name for node in cluster.spec.node_list])


def _api(context: Context) -> None:
    context.cluster.api.await_ready(context.deadline)
    open_gate(context.cluster.layout.api_gate)


def _objects(context: Context) -> None:
    spec, api = context.cluster.spec, context.cluster.api
    for node in spec.node_list:
        try:
            api.call("POST", "/api/v1/nodes", objects.node(node))
        except KubeError as error:
            if error.fields.get("status") != 409:
                raise
    for node in spec.node_list:
        context.cluster.open_node_gate(node.name)
    for path, document in objects.dns(spec):
        api.apply(path, document)


def await_ready(context: Context) -> None:
    """Wait until all nodes are Ready and DNS answers on each. Raises :class:`TimedOut`."""
    cluster = context.cluster
    waiting = {node.name for node in cluster.spec.node_list}
    try:
        for event in cluster.api.watch("/api/v1/nodes", context.deadline):
            item = event.get("object", {})
            if is_ready(item):
                waiting.discard(item["metadata"]["name"])
            if not waiting:
                break
    except TimedOut as error:
        names = ", ".join(sorted(waiting))
        raise TimedOut(f"Nodes {names} of cluster {cluster.spec.name} did not become Ready in time.") from error

    def answers(netns: str) -> None:
        await_true(lambda: dns.answers(netns, cluster.spec.dns_service, _DNS_NAME), context.left_s, "the cluster's DNS")

    parallel(answers, [node.netns for node in cluster.spec.node_list])


def is_ready(node: dict[str, Any]) -> bool:
    """Whether a Node object's condition Ready is True."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


STEPS = (
    Step("Write certificates and configuration", _files),
    Step("Connect the network", _network),
    Step("Start the control plane", _control_plane),
    Step("Boot the nodes", _nodes),
    Step("Wait for the API server", _api),
    Step("Register nodes and DNS", _objects),
    Step("Wait until nodes are Ready and DNS answers", await_ready),
)
