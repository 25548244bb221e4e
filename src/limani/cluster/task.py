"""What the modules ``lab_cluster`` and ``lab_cluster_info`` do. Synchronous, plain JSON types."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from limani.cluster import backend as backends
from limani.cluster.backend import Backend, Facts
from limani.cluster.hosted import base as hosted
from limani.cluster.hosted import options as hosted_options
from limani.cluster.spec import Request, parse_size
from limani.cluster.status import ClusterStatus, NodeStatus
from limani.errors import BadInput, ClusterExists

Params = Mapping[str, Any]
Say = Callable[[str], None]


def lab_cluster(params: Params, *, check: bool, progress: Say) -> dict[str, Any]:
    """Make, repair or delete a cluster; see the module ``lab_cluster`` for ``params`` and the result.

    Raises :class:`ClusterExists` naming what differs if there is a cluster of that name but another kind.
    """
    if params.get("backend") in hosted.BACKENDS:
        from limani.cluster.hosted import task

        return task.lab_cluster(params, check=check, progress=progress)
    hosted_options.refuse_for_native(params)
    began = time.monotonic()
    request = request_from(params)
    state = params.get("state") or "present"
    if state not in ("present", "absent"):
        raise BadInput(f"state is present or absent, not {state!r}.", value=state)
    kind = params.get("backend") or "native"
    backend = backends.get(kind)
    before = _describe(backend, request.name)
    if state == "absent":
        changed = backend.delete(request.name) if not check else request.name in backend.names()
        status, after = None, Facts()
    else:
        changed, status, after = _present(backend, request, float(params.get("timeout") or 300), check, progress)
    facts = _facts(status) if status else _NO_FACTS | {"kubernetes_version": after.get("kubernetes_version", "")}
    return {
        "changed": changed,
        "diff": {"before": before, "after": after},
        "name": request.name,
        "state": state,
        "backend": kind,
        "seconds": round(time.monotonic() - began, 3),
        **facts,
        "cluster": msgspec.to_builtins(status) if status else {},
    }


def lab_cluster_info(params: Params) -> dict[str, Any]:
    """The clusters of this machine (or the one of ``params['name']``): ``{"clusters": [...]}``."""
    from limani.cluster.hosted import task

    backend = backends.get("native")
    wanted = params.get("name")
    names = [name for name in backend.names() if wanted in (None, "", name)]
    found = [backend.status(name) for name in names]
    return {
        "clusters": [
            {"name": s.name, "state": s.state, "backend": s.backend, **_facts(s), "cluster": msgspec.to_builtins(s)}
            for s in found
        ]
        + task.clusters(wanted)
    }


def request_from(params: Params) -> Request:
    """The request in a module's parameters. Raises :class:`BadInput` naming the parameter."""
    disks = {}
    for node, size in dict(params.get("node_disks") or {}).items():
        disks[str(node)] = size if isinstance(size, int) else parse_size(str(size))
    optional = ("kubernetes_version", "node_subnet", "pod_subnet", "service_subnet", "api_port", "binaries", "mirror")
    return Request(
        name=params.get("name") or "lab",
        nodes=int(params["nodes"]) if params.get("nodes") is not None else 3,
        docker=bool(params.get("docker")),
        node_disks=disks,
        **{name: params[name] for name in optional if params.get(name)},
    )


def differences(request: Request, facts: Facts) -> dict[str, dict[str, Any]]:
    """What is asked but otherwise in the cluster: ``{"nodes": {"found": 3, "wanted": 5}}``."""
    wanted = {name: getattr(request, name) for name in facts}
    if request.kubernetes_version:
        wanted["kubernetes_version"] = request.kubernetes_version.removeprefix("v")
    return {
        name: {"found": facts[name], "wanted": value}
        for name, value in wanted.items()
        # What was left open may be anything.
        if value is not None and facts[name] != value
    }


def _present(
    backend: Backend, request: Request, timeout_s: float, check: bool, progress: Say
) -> tuple[bool, ClusterStatus | None, Facts]:
    """(Whether something changed or would, the status, what the diff says of afterwards)."""
    name, facts = request.name, backend.facts(request.name)
    if facts is None:
        if check:
            return True, None, backend.plan(request) | {"state": "running"}
        status = backend.create(request, progress=progress, timeout_s=timeout_s)
        return True, status, _describe(backend, name)
    differing = differences(request, facts)
    if differing:
        words = ", ".join(f"{k} is {v['found']} and not {v['wanted']}" for k, v in differing.items())
        raise ClusterExists(f"A cluster {name!r} exists already, but {words}.", name=name, differences=differing)
    status = backend.status(name)
    if status.state == "running":
        return False, status, _describe(backend, name)
    if check:
        return bool(backend.repairs(name)), status, facts | {"state": "running"}
    done = backend.repair(name, progress=progress, timeout_s=timeout_s)
    return bool(done), backend.status(name), _describe(backend, name)


def _describe(backend: Backend, name: str) -> Facts:
    """What the diff shows of a cluster that exists; empty for none."""
    facts = backend.facts(name)
    return {} if facts is None else facts | {"state": backend.status(name).state}


_NO_FACTS: dict[str, Any] = {"kubeconfig": "", "context": "", "kubernetes_version": "", "nodes": []}


def _facts(status: ClusterStatus) -> dict[str, Any]:
    return {
        "kubeconfig": status.kubeconfig,
        "context": f"limani-{status.name}",
        "kubernetes_version": status.kubernetes_version,
        "nodes": [{"name": n.name, "address": n.address, "state": _node_word(n)} for n in status.nodes],
    }


def _node_word(node: NodeStatus) -> str:
    """How a node is: down, disconnected, or as Kubernetes says it."""
    return node.state if node.state != "up" else "Ready" if node.ready else "NotReady"
