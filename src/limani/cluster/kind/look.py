"""What there is of a kind cluster, read from its containers (``docker inspect``) and, if it answers, from its API."""

from __future__ import annotations

import json
from typing import Any

from limani.cluster.hosted import docker, record
from limani.cluster.hosted.docker import Container
from limani.cluster.kind.config import MIRRORS
from limani.cluster.status import ClusterStatus, NodeStatus
from limani.errors import ClusterUnknown, NodeUnknown, RuntimeUnavailable

LABEL, ROLE = "io.x-k8s.kind.cluster", "io.x-k8s.kind.role"
_API = "6443/tcp"
KUBECTL = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")


def names() -> list[str]:
    """Names of all kind clusters of this Docker, sorted."""
    return sorted({item["Config"]["Labels"][LABEL] for item in docker.containers(LABEL)})


def nodes(name: str) -> list[Container]:
    """The containers of a cluster's nodes, control plane first. Raises :class:`ClusterUnknown`."""
    found = [item for item in docker.containers(f"{LABEL}={name}") if role(item) in ("control-plane", "worker")]
    if not found:
        raise ClusterUnknown(
            f"There is no kind cluster {name!r}.",
            hint=f"kind get clusters lists them; limani cluster create {name} --backend kind makes it.",
            name=name,
        )
    return sorted(found, key=lambda item: (role(item) != "control-plane", node_name(item)))


def node(name: str, wanted: str) -> Container:
    """The container of one node. Raises :class:`NodeUnknown`."""
    found = nodes(name)
    for item in found:
        if node_name(item) == wanted:
            return item
    raise NodeUnknown(f"Cluster {name} has no node {wanted!r}, only {', '.join(map(node_name, found))}.", node=wanted)


def node_name(item: Container) -> str:
    """The node's name, which is the container's."""
    return str(item["Name"]).lstrip("/")


def role(item: Container) -> str:
    """``control-plane``, ``worker`` or ``external-load-balancer``."""
    return str(item["Config"]["Labels"].get(ROLE, ""))


def state(item: Container) -> str:
    """``up``, ``paused`` or ``down``."""
    status = item["State"]["Status"]
    return {"running": "up", "paused": "paused"}.get(str(status), "down")


def status(name: str) -> ClusterStatus:
    """The cluster as it is now. Raises :class:`ClusterUnknown`."""
    found = nodes(name)
    ready = _ready(found[0])
    members = [
        NodeStatus(
            name=node_name(item),
            state=state(item),
            ready=ready.get(node_name(item)),
            address=_address(item),
            pod_subnet="",
            pid=int(item["State"]["Pid"]),
            netns="",
            link="",
            containerd_socket="",
            docker_socket="",
            processes=[],
        )
        for item in found
    ]
    states = {member.state for member in members}
    well = states == {"up"} and all(member.ready for member in members)
    facts = described(name)
    kubeconfig = record.folder("kind", name) / "kubeconfig"
    return ClusterStatus(
        name=name,
        backend="kind",
        state="running" if well else "stopped" if states == {"down"} else "degraded",
        kubernetes_version=facts["kubernetes_version"],
        docker=False,
        server=f"https://{facts['api_address']}:{facts['api_port']}",
        kubeconfig=str(kubeconfig) if kubeconfig.exists() else "",
        bridge="",
        node_subnet="",
        pod_subnet=facts["pod_subnet"],
        service_subnet=facts["service_subnet"],
        processes=[],
        nodes=members,
    )


def described(name: str) -> dict[str, Any]:
    """The cluster in the words of a request. What nobody can tell of a stopped cluster is as Limani recorded it."""
    found = nodes(name)
    first = found[0]
    bindings = first["HostConfig"]["PortBindings"] or {}
    api = (bindings.get(_API) or [{"HostIp": "", "HostPort": "0"}])[0]
    ours = record.load("kind", name)
    networks = _networks(first)
    return {
        "nodes": len(found),
        "kubernetes_version": _version(first) or (ours.request.version or "" if ours else ""),
        "image": first["Config"]["Image"],
        "api_address": api["HostIp"] or "127.0.0.1",
        "api_port": int(api["HostPort"]),
        "pod_subnet": networks.get("podSubnet", ""),
        "service_subnet": networks.get("serviceSubnet", ""),
        "runtime": "containerd",
        "mounts": _mounts(first),
        "ports": _ports(bindings),
        "registry_mirrors": ours.request.registry_mirrors if ours else {},
    }


def control_plane(name: str) -> Container:
    """The control plane's container if it runs. Raises :class:`RuntimeUnavailable` if it does not."""
    first = nodes(name)[0]
    if state(first) != "up":
        raise RuntimeUnavailable(
            f"The control plane of kind cluster {name} is {state(first)}.",
            hint=f"limani cluster node start {node_name(first)} --cluster {name}",
        )
    return first


def _mounts(item: Container) -> list[str]:
    """HOST:NODE[:ro] of what was asked to be mounted."""
    own = (":/lib/modules", f":{MIRRORS}")
    return sorted(
        bind for bind in item["HostConfig"]["Binds"] or [] if not any(path in bind for path in own) and ":" in bind
    )


def _ports(bindings: dict[str, Any]) -> list[str]:
    """ADDRESS:HOST:NODE/PROTOCOL of what was asked to be published."""
    return sorted(
        f"{binding['HostIp'] or '0.0.0.0'}:{binding['HostPort']}:{port}"  # noqa: S104 - only words
        for port, found in bindings.items()
        if port != _API
        for binding in found or []
    )


def _address(item: Container) -> str:
    networks = item["NetworkSettings"]["Networks"] or {}
    return next((str(network["IPAddress"]) for network in networks.values() if network["IPAddress"]), "")


def _version(item: Container) -> str:
    if state(item) != "up":
        return ""
    return docker.execute(node_name(item), ["cat", "/kind/version"]).output.strip().removeprefix("v")


def _networks(item: Container) -> dict[str, str]:
    """Networks of pods and Services, as kind told kubeadm."""
    if state(item) != "up":
        return {}
    import yaml

    done = docker.execute(node_name(item), ["cat", "/kind/kubeadm.conf"])
    documents = yaml.safe_load_all(done.output) if done.code == 0 else []
    for part in documents:
        if isinstance(part, dict) and part.get("kind") == "ClusterConfiguration":
            return {key: str(value) for key, value in (part.get("networking") or {}).items()}
    return {}


def _ready(control: Container) -> dict[str, bool]:
    """What the API says of the nodes, by name; empty if it does not answer."""
    if state(control) != "up":
        return {}
    ask = [*KUBECTL, "get", "nodes", "-o", "json", "--request-timeout", "5s"]
    done = docker.execute(node_name(control), ask, timeout_s=20)
    if done.code:
        return {}
    ready = {}
    for item in json.loads(done.output)["items"]:
        conditions = {entry["type"]: entry["status"] for entry in item["status"].get("conditions", [])}
        ready[item["metadata"]["name"]] = conditions.get("Ready") == "True"
    return ready
