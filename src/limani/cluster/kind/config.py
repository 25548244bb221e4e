"""kind's cluster configuration (kind.x-k8s.io/v1alpha4) for a request, and mirrors of registries for containerd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from limani.cluster.hosted.options import HostedRequest, Mount

MIRRORS = "/etc/containerd/certs.d"
"""Where containerd of a node looks for hosts.toml files."""


def document(request: HostedRequest, api_port: int, mirrors: Path | None, kubelet: dict[str, Any]) -> dict[str, Any]:
    """The configuration. ``mirrors``: folder of hosts.toml files; ``kubelet``: of KubeletConfiguration."""
    mounts = [_mount(mount) for mount in request.mounts]
    if mirrors:
        mounts.append(_mount(Mount(host=str(mirrors), node=MIRRORS, read_only=True)))
    ports = [
        {
            "hostPort": port.host,
            "containerPort": port.node,
            "listenAddress": port.address,
            "protocol": port.protocol.upper(),
        }
        for port in request.ports
    ]
    nodes: list[dict[str, Any]] = [{"role": "control-plane"}, *({"role": "worker"} for _ in range(request.nodes - 1))]
    for node in nodes:
        node |= {"extraMounts": mounts} if mounts else {}
    nodes[0] |= {"extraPortMappings": ports} if ports else {}
    networking = {
        "apiServerAddress": request.api_address,
        "apiServerPort": api_port,
        "podSubnet": request.pod_subnet,
        "serviceSubnet": request.service_subnet,
    }
    made: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": request.name,
        "nodes": nodes,
        "networking": {key: value for key, value in networking.items() if value},
    }
    if kubelet:
        patch = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", **kubelet}
        made["kubeadmConfigPatches"] = [json.dumps(patch)]
    return made


def _mount(mount: Mount) -> dict[str, Any]:
    return {"hostPath": mount.host, "containerPath": mount.node, "readOnly": mount.read_only}


def write_mirrors(mirrors: dict[str, list[str]], folder: Path) -> Path | None:
    """Write a hosts.toml for each registry below ``folder``; None if there is none to write.

    Format: containerd's docs/hosts.md. The registry itself is asked last.
    """
    for registry, urls in mirrors.items():
        lines = [f'server = "https://{registry}"']
        for url in urls:
            lines += [f"[host.{json.dumps(url)}]", '  capabilities = ["pull", "resolve"]']
        path = folder / registry / "hosts.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return folder if mirrors else None
