"""Looking at a native cluster: status of everything, without changing anything."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from limani.cluster.native import cgroups, network
from limani.cluster.native import node as nodes
from limani.cluster.native.cluster import NativeCluster, parallel
from limani.cluster.native.steps import is_ready
from limani.cluster.native.supervisor import Program, Supervisor
from limani.cluster.spec import Node
from limani.cluster.status import ClusterStatus, NodeStatus, ProcessStatus
from limani.errors import KubeError, RuntimeUnavailable


def status(cluster: NativeCluster) -> ClusterStatus:
    """The cluster as it is now."""
    spec = cluster.spec
    processes = control_processes(cluster)
    ready = readiness(cluster)
    found = parallel(lambda node: node_status(cluster, node, ready), spec.node_list)
    return ClusterStatus(
        name=spec.name,
        backend="native",
        state=_overall(processes, found),
        kubernetes_version=spec.kubernetes_version,
        docker=spec.docker,
        server=spec.server,
        kubeconfig=str(cluster.kubeconfig),
        bridge=spec.bridge,
        node_subnet=spec.node_subnet,
        pod_subnet=spec.pod_subnet,
        service_subnet=spec.service_subnet,
        processes=processes,
        nodes=found,
    )


def control_processes(cluster: NativeCluster) -> list[ProcessStatus]:
    """The control plane's processes."""
    from limani.cluster.native.control import programs

    return _processes(cluster.control, programs(cluster.spec, cluster.layout, ""), "", None)


def node_status(cluster: NativeCluster, node: Node, ready: dict[str, bool] | None) -> NodeStatus:
    """One node; ``ready`` from :func:`readiness`."""
    init = cluster.init(node.name)
    root = f"/proc/{init.pid}/root" if init else ""
    programs = nodes.programs(cluster.spec, node)
    if init:
        outside = host_pids(cgroups.processes(cluster.spec.name, node.name))
        processes = _processes(cluster.supervisor(node.name), programs, f"{node.name}/", outside)
    else:
        processes = [ProcessStatus(name=f"{node.name}/{p.name}", state="STOPPED") for p in programs]
    return NodeStatus(
        name=node.name,
        state="down" if init is None else "up" if network.link_is_up(node) else "disconnected",
        ready=None if ready is None else ready.get(node.name, False),
        address=node.address,
        pod_subnet=node.pod_subnet,
        pid=init.pid if init else 0,
        netns=node.netns,
        link=node.veth,
        containerd_socket=f"{root}{nodes.CONTAINERD_SOCKET}" if init else "",
        docker_socket=f"{root}{nodes.DOCKER_SOCKET}" if init and cluster.spec.docker else "",
        processes=processes,
    )


def readiness(cluster: NativeCluster) -> dict[str, bool] | None:
    """Which nodes the API calls Ready; ``None`` if it does not answer."""
    try:
        answer = cluster.api.call("GET", "/api/v1/nodes", timeout_s=3)
    except (KubeError, FileNotFoundError):
        return None
    return {item["metadata"]["name"]: is_ready(item) for item in answer["items"]}


def host_pids(pids: Iterable[int]) -> dict[int, int]:
    """PID on this machine by PID in the node, for processes exactly one PID namespace below (proc(5), NSpid)."""
    found = {}
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
        if len(numbers) == 2:
            found[int(numbers[1])] = pid
    return found


def _processes(
    supervisor: Supervisor, programs: list[Program], prefix: str, outside: dict[int, int] | None
) -> list[ProcessStatus]:
    try:
        known = {program.name: program for program in supervisor.list()}
    except RuntimeUnavailable:
        known = {}
    return [
        ProcessStatus(
            name=f"{prefix}{program.name}",
            state=known[program.name].state if program.name in known else "UNKNOWN",
            pid=_host_pid(known[program.name].pid, outside) if program.name in known else 0,
        )
        for program in programs
    ]


def _host_pid(pid: int, outside: dict[int, int] | None) -> int:
    return pid if outside is None else outside.get(pid, 0)


def _overall(processes: list[ProcessStatus], found: list[NodeStatus]) -> str:
    every = processes + [process for node in found for process in node.processes]
    if all(process.state == "RUNNING" for process in every) and all(
        node.ready and node.state == "up" for node in found
    ):
        return "running"
    return "degraded" if any(process.pid for process in every) else "stopped"
