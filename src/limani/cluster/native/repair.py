"""Making a cluster whole again: what is down is started; what cannot be (after a reboot) is made anew."""

from __future__ import annotations

import time
from pathlib import Path

from limani.cluster.backend import Progress
from limani.cluster.binaries.provide import missing
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.native.lock import cluster_lock
from limani.cluster.native.steps import Context, await_ready
from limani.cluster.spec import Request, Spec
from limani.cluster.status import ClusterStatus

AGAIN = "create the cluster again"


def needed(cluster: NativeCluster, status: ClusterStatus) -> list[str]:
    """What repair does, in words; nothing for a cluster that runs or only needs a moment."""
    if status.state == "stopped" or not cluster.layout.complete.exists():
        return [AGAIN]
    steps = []
    if not cluster.control.answers():
        steps.append("start the control plane")
    steps += [f"start process {p.name}" for p in status.processes if p.state in ("STOPPED", "FATAL", "EXITED")]
    for node in status.nodes:
        if node.state == "down":
            steps.append(f"start node {node.name}")
            continue
        if node.state == "disconnected":
            steps.append(f"connect node {node.name}")
        steps += [f"start process {p.name}" for p in node.processes if p.state in ("STOPPED", "FATAL", "EXITED")]
    return steps


def start(cluster: NativeCluster, steps: list[str], *, progress: Progress, timeout_s: float) -> None:
    """Do what :func:`needed` said (but :data:`AGAIN`) and wait until the cluster is Ready."""
    with cluster_lock(cluster.spec.name):
        for step in steps:
            progress(step.capitalize())
            _do(cluster, step)
    await_ready(Context(cluster, time.monotonic() + timeout_s, progress))


def _do(cluster: NativeCluster, step: str) -> None:
    verb, kind, name = (*step.split(), "")[:3]
    if kind == "process":
        cluster.start_process(name)
    elif kind == "node" and verb == "start":
        cluster.start_node(name)
    elif kind == "node":
        cluster.connect_node(name, connected=True)
    else:
        cluster.start_control()


def request_of(spec: Spec) -> Request:
    """The request that leads to the same spec."""
    return Request(
        name=spec.name,
        nodes=spec.nodes,
        kubernetes_version=spec.kubernetes_version,
        docker=spec.docker,
        node_subnet=spec.node_subnet,
        pod_subnet=spec.pod_subnet,
        service_subnet=spec.service_subnet,
        api_port=spec.api_port,
        # A folder that is gone is found again the usual way.
        binaries=None if missing(Path(spec.binaries)) else spec.binaries,
        mirror=spec.mirror,
        node_disks=spec.node_disks,
    )
