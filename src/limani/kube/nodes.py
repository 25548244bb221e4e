"""Nodes and the agents' pods on them, as the API server knows them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from limani.kube.session import KubeSession
from limani.wire import AGENT_LABEL, PORT


@dataclass(frozen=True, slots=True)
class Node:
    """A node and its agent. ``agent``: pod name, "" if none is ready; ``why``: the reason then."""

    name: str
    platform: str  # os/architecture as the kubelet reports it
    ready: bool
    labels: dict[str, str] = field(default_factory=dict)
    runtime: str = ""  # as nodeInfo.containerRuntimeVersion: containerd://2.1.9
    agent: str = ""
    namespace: str = ""
    why: str = ""
    pod: str = ""  # of the agent, ready or not

    def proxy_path(self) -> str:
        """URL path below which the API server relays requests to the agent (TLS on the agent's side)."""
        return f"/api/v1/namespaces/{quote(self.namespace)}/pods/https:{quote(self.agent)}:{PORT}/proxy"


async def list_nodes(session: KubeSession, namespace: str, selector: str = "") -> list[Node]:
    """All nodes (that match a label selector), sorted by name, each with its agent. Two requests, in parallel."""
    query = {"labelSelector": selector} if selector else {}
    pods_path = f"/api/v1/namespaces/{quote(namespace)}/pods"
    nodes, pods = await asyncio.gather(
        session.get("/api/v1/nodes", resourceVersion="0", **query),
        session.get(pods_path, labelSelector=AGENT_LABEL),
    )
    agents: dict[str, dict[str, Any]] = {}
    for pod in pods.get("items", []):
        name = pod.get("spec", {}).get("nodeName", "")
        if name and (name not in agents or _pod_ready(pod)):
            agents[name] = pod
    found = [_node(item, agents.get(item["metadata"]["name"]), namespace) for item in nodes.get("items", [])]
    return sorted(found, key=lambda node: node.name)


def _node(item: dict[str, Any], pod: dict[str, Any] | None, namespace: str) -> Node:
    info = item.get("status", {}).get("nodeInfo", {})
    ready = _condition(item, "Ready")
    name = item["metadata"]["name"]
    why = ""
    if not ready:
        why = f"Node {name} is not Ready"
    elif pod is None:
        why = f"Node {name} has no agent pod in namespace {namespace}"
    elif not _pod_ready(pod):
        why = f"The agent of node {name} is not ready: {pod_trouble(pod)}"
    return Node(
        name=name,
        platform=f"{info.get('operatingSystem', 'linux')}/{info.get('architecture', 'amd64')}",
        ready=ready,
        labels=dict(item["metadata"].get("labels") or {}),
        runtime=info.get("containerRuntimeVersion", ""),
        agent="" if why or pod is None else pod["metadata"]["name"],
        pod=pod["metadata"]["name"] if pod else "",
        namespace=namespace,
        why=why,
    )


def _condition(item: dict[str, Any], kind: str) -> bool:
    conditions = item.get("status", {}).get("conditions") or []
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


def _pod_ready(pod: dict[str, Any]) -> bool:
    return _condition(pod, "Ready") and not pod["metadata"].get("deletionTimestamp")


def pod_trouble(pod: dict[str, Any]) -> str:
    """Why a pod is not ready, in the kubelet's words: waiting or terminated reason, else its phase."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        ended = (container.get("lastState") or {}).get("terminated")
        if ended and (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff":
            words = f": {ended['message'].strip()}" if ended.get("message") else ""
            return f"its container keeps stopping (exit code {ended.get('exitCode')}{words})"
        for phase in ("waiting", "terminated"):
            detail = state.get(phase)
            if detail:
                return ": ".join(text for text in (detail.get("reason"), detail.get("message")) if text)
    for condition in status.get("conditions") or []:
        if condition.get("status") == "False" and condition.get("message"):
            return str(condition["message"])
    return str(status.get("reason") or status.get("phase") or "unknown")


async def set_labels(session: KubeSession, node: str, labels: dict[str, str | None]) -> None:
    """Set labels of a node; None removes one. Raises Forbidden, KubeError."""
    body = {"metadata": {"labels": labels}}
    path = f"/api/v1/nodes/{quote(node)}"
    await session.request("PATCH", path, body=body, content_type="application/merge-patch+json")
