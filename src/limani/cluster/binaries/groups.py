"""Which binaries a cluster needs, and the project each comes from."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from limani.errors import BadInput, HostUnsuitable


@dataclass(frozen=True)
class Group:
    """The binaries of one project.

    ``module``: its Go module. ``packages``: Go package by binary. ``stamp``: linker variable for the version, with
    ``{v}`` (and ``{minor}``) for it. ``releases``: where the project offers them (see :mod:`.download`).
    """

    name: str
    module: str
    packages: Mapping[str, str]
    releases: str
    stamp: tuple[str, ...] = ()


_K8S = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
_GITHUB = "https://github.com"
_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins"

GROUPS = (
    Group(
        "kubernetes",
        "k8s.io/kubernetes",
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in _K8S},
        "https://dl.k8s.io/v{v}/bin/linux/{arch}/{binary}",
        (
            "k8s.io/component-base/version.gitVersion=v{v}",
            "k8s.io/component-base/version.gitMajor=1",
            "k8s.io/component-base/version.gitMinor={minor}",
        ),
    ),
    Group(
        "etcd",
        "go.etcd.io/etcd/server/v3",
        {"etcd": "go.etcd.io/etcd/server/v3"},
        f"{_GITHUB}/etcd-io/etcd/releases/download/v{{v}}/etcd-v{{v}}-linux-{{arch}}.tar.gz",
    ),
    Group(
        "containerd",
        _CONTAINERD,
        {name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
        f"{_GITHUB}/containerd/containerd/releases/download/v{{v}}/containerd-{{v}}-linux-{{arch}}.tar.gz",
        (f"{_CONTAINERD}/version.Version=v{{v}}",),
    ),
    Group(
        "cni",
        _CNI,
        {
            "cni/bridge": f"{_CNI}/plugins/main/bridge",
            "cni/loopback": f"{_CNI}/plugins/main/loopback",
            "cni/host-local": f"{_CNI}/plugins/ipam/host-local",
            "cni/portmap": f"{_CNI}/plugins/meta/portmap",
        },
        f"{_GITHUB}/containernetworking/plugins/releases/download/v{{v}}/cni-plugins-linux-{{arch}}-v{{v}}.tgz",
    ),
    Group(
        "coredns",
        "github.com/coredns/coredns",
        {"coredns": "github.com/coredns/coredns"},
        f"{_GITHUB}/coredns/coredns/releases/download/v{{v}}/coredns_{{v}}_linux_{{arch}}.tgz",
    ),
)
NAMES = tuple(name for group in GROUPS for name in group.packages)


def versions(kubernetes: str | None = None) -> dict[str, str]:
    """Version by group; another version of Kubernetes may be named (``1.35.2`` or ``v1.35.2``)."""
    known: dict[str, str] = json.loads((files(__package__) / "versions.json").read_text())
    if kubernetes is None:
        return known
    version = kubernetes.removeprefix("v")
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts[:2]) or not parts[2][:1].isdigit():
        raise BadInput(f"{kubernetes!r} is not a version of Kubernetes; write for example 1.36.3.", value=kubernetes)
    return known | {"kubernetes": version}


def architecture() -> str:
    """This machine's architecture as Go and releases call it."""
    machine = platform.machine()
    known = {"x86_64": "amd64", "aarch64": "arm64"}
    if machine not in known:
        raise HostUnsuitable(f"There are no cluster binaries for processors of kind {machine!r}.", machine=machine)
    return known[machine]
