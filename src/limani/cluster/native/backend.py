"""Creating, listing and deleting native clusters."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from limani.cluster import paths, subnets
from limani.cluster.native import cgroups, network
from limani.cluster.native.cluster import NativeCluster, await_true
from limani.cluster.native.layout import Layout
from limani.cluster.native.pki import write_private
from limani.cluster.native.processes import kill_all
from limani.cluster.native.steps import Context, run_steps
from limani.cluster.spec import Request, Spec, check_name
from limani.errors import ClusterExists, ClusterUnknown, HostUnsuitable, TimedOut

CREATE_TIMEOUT_S = 120.0


def need_root() -> None:
    """Raise :class:`HostUnsuitable` without root: namespaces, mounts and links need it."""
    if os.geteuid():
        raise HostUnsuitable(
            "A native cluster needs root: it makes namespaces, mounts and links.",
            hint="Run it with sudo; or use a cluster made by kind or minikube (they run under your own Docker).",
        )


def names() -> list[str]:
    """Names of the clusters recorded on this machine, sorted."""
    root = paths.state_root()
    return sorted(item.name for item in root.iterdir() if (item / "spec.json").exists()) if root.exists() else []


def create(request: Request, binaries: Path, version: str, *, progress: Callable[[str], None], keep: bool = False,
           timeout_s: float = CREATE_TIMEOUT_S) -> NativeCluster:
    """Make a cluster and wait until its nodes are Ready and its DNS answers; on failure nothing is left but with ``keep``."""
    need_root()
    cluster = NativeCluster(settle(request, binaries, version))
    try:
        run_steps(Context(cluster, time.monotonic() + timeout_s, progress))
    except BaseException:
        if not keep:
            delete(request.name)
        raise
    return cluster


def settle(request: Request, binaries: Path, version: str) -> Spec:
    """Choose what the request leaves open and record the spec. Raises :class:`ClusterExists`."""
    layout = Layout.of(request.name)
    with _machine_lock():
        if layout.spec.exists():
            raise ClusterExists(f"A cluster {request.name!r} exists already.", name=request.name)
        others = [NativeCluster.open(name).spec for name in names()]
        taken = subnets.routed()
        for other in others:
            taken += [IPv4Network(net) for net in (other.node_subnet, other.pod_subnet, other.service_subnet)]
        chosen = {}
        for field in subnets.POOLS:
            chosen[field] = subnets.choose(field, getattr(request, field), taken)
            taken.append(chosen[field])
        used = {other.index for other in others}
        links = network.links()
        index = next(i for i in range(1000) if i not in used and f"lm{i}" not in links)
        spec = Spec(
            name=request.name,
            index=index,
            nodes=request.nodes,
            kubernetes_version=version,
            docker=request.docker,
            node_subnet=str(chosen["node_subnet"]),
            pod_subnet=str(chosen["pod_subnet"]),
            service_subnet=str(chosen["service_subnet"]),
            api_port=subnets.free_port(request.api_port),
            binaries=str(binaries),
            mirror=request.mirror,
            node_disks=request.node_disks,
        )
        layout.state.mkdir(parents=True, exist_ok=True, mode=0o711)
        write_private(layout.spec, msgspec.json.format(msgspec.json.encode(spec)))
    return spec


def delete(name: str) -> bool:
    """Remove a cluster and everything of it, whatever state it is in; false if there was nothing."""
    need_root()
    layout = Layout.of(check_name(name))
    found = layout.state.exists() or layout.run.exists() or bool(cgroups.processes(name))
    kill_all(lambda: cgroups.processes(name))
    with contextlib.suppress(ClusterUnknown):
        spec = NativeCluster.open(name).spec
        for node in spec.node_list:
            network.down_node(spec, node)
        network.down_host(spec)
    with contextlib.suppress(TimedOut):
        await_true(lambda: not cgroups.remove(name), 5, f"the cgroups of cluster {name}")
    for folder in (layout.run, layout.state):
        if folder.exists():
            shutil.rmtree(folder)
    return found


@contextlib.contextmanager
def _machine_lock() -> Iterator[None]:
    """Only one process at a time chooses names and networks."""
    paths.RUN_ROOT.mkdir(parents=True, exist_ok=True)
    with (paths.RUN_ROOT / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
