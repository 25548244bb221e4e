"""What a cluster looks like right now: the one form every backend reports."""

from __future__ import annotations

import msgspec


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the control plane (``etcd``) or of a node (``n1/kubelet``).

    ``state`` as the supervisor says it: RUNNING, STOPPED, STARTING, BACKOFF, EXITED, FATAL; UNKNOWN if it is silent.
    """

    name: str
    state: str
    pid: int = 0


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A node. ``state``: up, down, or disconnected (cable pulled). ``ready``: as the API says (``None`` if silent)."""

    name: str
    state: str
    ready: bool | None
    address: str
    pod_subnet: str
    # PID of the node's init on the host (0 while down).
    pid: int
    # Network namespace (ip netns exec NAME ...) and this machine's end of the node's cable (tc qdisc ... dev NAME).
    netns: str
    link: str
    containerd_socket: str
    docker_socket: str
    processes: list[ProcessStatus]


class ClusterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster. ``state``: running (everything is as it should be), degraded, or stopped (nothing of it runs)."""

    name: str
    backend: str
    state: str
    kubernetes_version: str
    docker: bool
    server: str
    kubeconfig: str
    bridge: str
    node_subnet: str
    pod_subnet: str
    service_subnet: str
    processes: list[ProcessStatus]
    nodes: list[NodeStatus]
