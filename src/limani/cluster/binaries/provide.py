"""Finding the binaries: a folder, the cache, downloads, or a compiler; the first that works."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from limani.errors import BinariesUnavailable

NAMES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "etcd",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "coredns",
    "cni/bridge",
    "cni/host-local",
    "cni/loopback",
    "cni/portmap",
)


def versions(kubernetes: str | None = None) -> dict[str, str]:
    """Version by component; another Kubernetes version may be named."""
    known: dict[str, str] = json.loads((files(__package__) / "versions.json").read_text())
    return known | ({"kubernetes": kubernetes.removeprefix("v")} if kubernetes else {})


def missing(folder: Path) -> list[str]:
    """Names of the binaries that the folder lacks."""
    return [name for name in NAMES if not (folder / name).is_file()]


def provide(
    folder: str | None, kubernetes: str | None, *, mirror: str | None, progress: Callable[[str], None]
) -> tuple[Path, str]:
    """(Folder with all binaries, Kubernetes version)."""
    wanted = versions(kubernetes)
    if folder:
        path = Path(folder).resolve()
        if lacking := missing(path):
            raise BinariesUnavailable(f"The folder {path} lacks {', '.join(lacking)}.", folder=str(path), missing=lacking)
        return path, wanted["kubernetes"]
    raise BinariesUnavailable("No folder with binaries was given.")
