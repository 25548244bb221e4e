"""What the module ``node_agent`` and ``limani agent`` do. Synchronous."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from limani import __version__
from limani.deploy.install import install, remove, short, wait_ready
from limani.deploy.manifests import ALL_TAINTS, Wanted
from limani.errors import BadInput, LimaniError, SomeNodesFailed
from limani.fleet.agent import AgentClient
from limani.fleet.fleet import VIEWER, Fleet, no_agent
from limani.image.archive import ArchiveSource
from limani.image.platform import Platform
from limani.image.reference import Reference
from limani.kube.nodes import Node
from limani.kube.session import KubeSession
from limani.wire import NAMESPACE

Params = Mapping[str, Any]
Say = Callable[[str], None]


def node_agent(params: Params, *, check: bool, progress: Say) -> dict[str, Any]:
    """Install, upgrade or remove the agents; see the module ``node_agent`` for ``params`` and the result.

    Raises SomeNodesFailed with the same keys in its fields when a node's agent is not ready in time.
    """
    return asyncio.run(_node_agent(params, check, progress))


def node_agent_info(params: Params) -> dict[str, Any]:
    """What is installed and how each node's agent does."""
    return asyncio.run(_node_agent_info(params))


async def _node_agent(params: Params, check: bool, progress: Say) -> dict[str, Any]:
    begun = time.monotonic()
    namespace = params.get("namespace") or NAMESPACE
    timeout = float(params.get("timeout") or 300)
    nodes: list[Node] = []
    async with KubeSession.open(params.get("kubeconfig"), params.get("context")) as session:
        if (params.get("state") or "present") == "absent":
            changes = await remove(session, namespace, timeout, check=check)
            wanted = None
        else:
            wanted = await _wanted(session, params, check, progress)
            changes = await install(session, wanted, check=check)
            if params.get("wait", True) and not check:
                progress("waiting for the agents")
                nodes = await wait_ready(session, namespace, timeout)
    result = {
        "changed": any(change.changed for change in changes),
        "state": params.get("state") or "present",
        "namespace": namespace,
        "image": wanted.image if wanted else "",
        "version": __version__,
        "nodes": {node.name: _node(node) for node in nodes},
        "diff": _diff(changes),
    }
    failed = [node for node in nodes if not node.agent]
    seconds = round(time.monotonic() - begun, 3)
    result["summary"] = {
        "nodes": len(nodes),
        "ready": len(nodes) - len(failed),
        "failed": len(failed),
        "seconds": seconds,
    }
    if failed:
        reasons = "; ".join(node.why for node in failed[:3])
        hint = f"kubectl -n {namespace} describe pods shows the events of the pods."
        raise SomeNodesFailed(f"{len(failed)} of {len(nodes)} agents are not ready: {reasons}.", hint=hint, **result)
    return result


def _node(node: Node) -> dict[str, Any]:
    result = {"ready": bool(node.agent), "failed": not node.agent, "reason": node.why, "pod": node.agent, "version": ""}
    if node.agent:
        return result | {"version": __version__}
    return result | {"error": no_agent(node).to_dict()}


def _diff(changes: list[Any]) -> dict[str, dict[str, Any]]:
    found = {change.name: short(change) for change in changes if change.changed}
    return {side: {name: found[name][side] for name in sorted(found)} for side in ("before", "after")}


async def _wanted(session: KubeSession, params: Params, check: bool, progress: Say) -> Wanted:
    """Settle which image the agents run; on a lab cluster bring it to the nodes."""
    image, archive, digest = params.get("image"), params.get("archive"), ""
    policy = params.get("pull_policy") or "IfNotPresent"
    if image and archive:
        raise BadInput("image and archive exclude each other.", hint="Give one of them.")
    if image:
        reference = Reference.parse(image)
        if reference.tag == "latest" and ":" not in image.rpartition("/")[2] and not reference.digest:
            reference = reference.with_tag(str(params.get("version") or __version__))
        image = str(reference)
    else:
        image, digest = await _bring(session, Path(archive) if archive else newest_archive(), check, progress)
        policy = "Never"
    tolerations = params.get("tolerations")
    return Wanted(
        image=image,
        digest=digest,
        namespace=params.get("namespace") or NAMESPACE,
        pull_policy=policy,
        pull_secrets=tuple(params.get("pull_secrets") or ()),
        node_selector=dict(params.get("node_selector") or {}),
        tolerations=ALL_TAINTS if tolerations is None else tuple(tolerations),
        docker=bool(params.get("docker")),
    )


async def _bring(session: KubeSession, archive: Path, check: bool, progress: Say) -> tuple[str, str]:
    """Load the agent's archive into a lab cluster's nodes; (reference, digest)."""
    from limani.cluster.lookup import load_archive

    async with ArchiveSource(archive) as source:
        image = await source.image(None, Platform.host())
    if image.reference is None:
        raise BadInput(f"The image in {archive} has no name.")
    if not check:
        progress(f"bringing {image.reference} to the nodes")
        await asyncio.to_thread(load_archive, session.server, archive)
    return str(image.reference), image.digest


def newest_archive() -> Path:
    """The agent's image as ``make agent-image`` builds it. Raises BadInput if there is none."""
    from limani.cluster.paths import cache_root

    found = sorted((cache_root() / "images").glob("agent-*.tar"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise BadInput(
            "There is no image of the agent to install.",
            hint="Build one with make agent-image, or name one: image=REGISTRY/limani-agent:TAG.",
        )
    return found[-1]


async def _node_agent_info(params: Params) -> dict[str, Any]:
    namespace = params.get("namespace") or NAMESPACE
    async with KubeSession.open(params.get("kubeconfig"), params.get("context")) as session:
        path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/limani-agent"
        daemon_set = await session.find(path)
        if daemon_set is None:
            summary = {"nodes": 0, "ready": 0, "failed": 0}
            return {"installed": False, "image": "", "version": "", "nodes": {}, "summary": summary}
        fleet = await Fleet.find(session, namespace=namespace, account=VIEWER)
        answers = await fleet.each(_status)
        nodes = {}
        for node in fleet.nodes:
            answer = answers[node.name]
            facts: dict[str, Any] = {"ready": bool(node.agent), "pod": node.agent}
            if isinstance(answer, LimaniError):
                facts |= {"failed": True, "reason": answer.message, "error": answer.to_dict()}
            else:
                facts |= {"failed": False, "reason": ""} | answer
            nodes[node.name] = facts
    failed = sum(bool(node["failed"]) for node in nodes.values())
    container = daemon_set["spec"]["template"]["spec"]["containers"][0]
    return {
        "installed": True,
        "image": container["image"],
        "version": next((node["version"] for node in nodes.values() if node.get("version")), ""),
        "nodes": dict(sorted(nodes.items())),
        "summary": {"nodes": len(nodes), "ready": len(nodes) - failed, "failed": failed},
    }


async def _status(agent: AgentClient) -> dict[str, Any]:
    status = await agent.status()
    return {
        "version": status.version,
        "protocol": status.protocol,
        "platform": status.platform,
        "engine": msgspec.to_builtins(status.engine),
        "engines": msgspec.to_builtins(status.engines),
        "disks": msgspec.to_builtins(status.disks),
    }
