"""What the module ``lab_cluster`` does with clusters of kind and minikube. Synchronous, plain JSON types."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from limani.cluster.hosted import base, record
from limani.cluster.hosted.base import BACKENDS, HostedBackend
from limani.cluster.hosted.options import HostedRequest, request_from
from limani.cluster.status import ClusterStatus
from limani.errors import ClusterUnknown, LimaniError

Params = Mapping[str, Any]
Say = Callable[[str], None]
_SHOWN = ("nodes", "kubernetes_version", "runtime", "image", "mounts", "ports", "registry_mirrors")


def lab_cluster(params: Params, *, check: bool, progress: Say) -> dict[str, Any]:
    """Make, adopt, start or delete a cluster; see the module ``lab_cluster`` for ``params`` and the result.

    Raises :class:`limani.errors.ClusterExists` naming what differs if there is a cluster of that name but another.
    """
    began = time.monotonic()
    request = request_from(params)
    backend = base.get(str(params["backend"]))
    before = _describe(backend, request.name)
    after: dict[str, Any] = {}
    if params.get("state") == "absent":
        changed = _absent(backend, request.name, bool(before), check)
    else:
        changed, after = _present(backend, request, before, float(params.get("timeout") or 300), check, progress)
    status = backend.status(request.name) if after and (before or not check) else None
    return {
        "changed": changed,
        "diff": {"before": before, "after": after},
        "name": request.name,
        "state": params.get("state") or "present",
        "backend": backend.name,
        "seconds": round(time.monotonic() - began, 3),
        **facts(status, after),
    }


def clusters(name: str | None) -> list[dict[str, Any]]:
    """The clusters of kind and minikube, or those of that name, as the module lab_cluster_info returns them."""
    found = [status for status in statuses() if name in (None, "", status.name)]
    return [{"name": s.name, "backend": s.backend, **facts(s, {}), "state": s.state} for s in found]


def statuses() -> list[ClusterStatus]:
    """All clusters of kind and minikube, Limani's and others; none where their programs are not usable."""
    found = []
    for key in BACKENDS:
        with contextlib.suppress(LimaniError):
            backend = base.get(key)
            found += [backend.status(name) for name in backend.names()]
    return found


def load_archive(server: str, archive: Path) -> bool:
    """Import an archive into the nodes of Limani's cluster whose API server is ``server``; false if there is none."""
    for key in BACKENDS:
        folder = record.root(key)
        for path in sorted(folder.iterdir()) if folder.exists() else ():
            file = path / "kubeconfig"
            if file.exists() and server in _servers(file):
                base.get(key).load(path.name, archive)
                return True
    return False


def backend_of(name: str) -> str | None:
    """The backend whose cluster of that name is Limani's, or None."""
    return next((key for key in BACKENDS if record.load(key, name)), None)


def facts(status: ClusterStatus | None, planned: Mapping[str, Any]) -> dict[str, Any]:
    """Kubeconfig, context, version and nodes as the modules return them."""
    if status is None:
        version = planned.get("kubernetes_version") or ""
        return {"kubeconfig": "", "context": "", "kubernetes_version": version, "nodes": [], "cluster": {}}
    return {
        "kubeconfig": status.kubeconfig,
        "context": f"kind-{status.name}" if status.backend == "kind" else status.name,
        "kubernetes_version": status.kubernetes_version,
        "nodes": [{"name": n.name, "address": n.address, "state": _word(n.state, n.ready)} for n in status.nodes],
        "cluster": msgspec.to_builtins(status),
    }


def _word(state: str, ready: bool | None) -> str:
    return state if state != "up" else "Ready" if ready else "NotReady"


def _absent(backend: HostedBackend, name: str, there: bool, check: bool) -> bool:
    if there:
        base.need_ours(backend.name, name)
    return there if check else backend.delete(name)


def _present(
    backend: HostedBackend, request: HostedRequest, before: dict[str, Any], timeout_s: float, check: bool, progress: Say
) -> tuple[bool, dict[str, Any]]:
    """(Whether something changed or would, what the diff says of afterwards)."""
    if not before:
        if not check:
            backend.create(request, progress=progress, timeout_s=timeout_s)
            return True, _describe(backend, request.name)
        return True, _planned(request)
    if before["state"] == "stopped" and record.load(backend.name, request.name):
        if check:
            return True, {**before, "state": "running"}
        backend.start(request.name)
    differing = backend.differences(request)
    base.refuse_differences(backend.name, request.name, differing)
    ours = record.load(backend.name, request.name) is not None
    if request.adopt and not ours:
        if check:
            return True, {**before, "limani": True}
        backend.adopt(request)
    after = _describe(backend, request.name)
    return after != before, after


def _describe(backend: HostedBackend, name: str) -> dict[str, Any]:
    """What the diff shows of a cluster that exists; empty for none."""
    try:
        status = backend.status(name)
    except ClusterUnknown:
        return {}
    return {
        "name": name,
        "nodes": len(status.nodes),
        "kubernetes_version": status.kubernetes_version,
        "state": status.state,
        "limani": record.load(backend.name, name) is not None,
    }


def _planned(request: HostedRequest) -> dict[str, Any]:
    shown = {key: msgspec.to_builtins(getattr(request, key)) for key in _SHOWN if getattr(request, key)}
    return {"name": request.name, **shown, "state": "running", "limani": True}


def _servers(kubeconfig: Path) -> set[str]:
    import yaml

    document = yaml.safe_load(kubeconfig.read_text()) or {}
    return {str(entry["cluster"]["server"]) for entry in document.get("clusters") or []}
