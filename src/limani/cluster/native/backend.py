"""Creating, listing and deleting native clusters."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from limani.cluster import paths, subnets
from limani.cluster.backend import CREATE_TIMEOUT_S, Facts, Progress
from limani.cluster.binaries import provide, versions
from limani.cluster.native import cgroups, logs, network, settings
from limani.cluster.native.cluster import NativeCluster, await_true
from limani.cluster.native.layout import Layout
from limani.cluster.native.lock import cluster_lock, machine_lock
from limani.cluster.native.look import status
from limani.cluster.native.pki import write_private
from limani.cluster.native.processes import kill_all
from limani.cluster.native.steps import Context, run_steps
from limani.cluster.spec import Request, Spec, check_name
from limani.cluster.status import ClusterStatus
from limani.errors import ClusterExists, ClusterUnknown, HostUnsuitable, LimaniError, TimedOut

_FACTS = (
    *("nodes", "kubernetes_version", "docker", "node_subnet", "pod_subnet", "service_subnet", "api_port"),
    "node_disks",
)


class NativeBackend:
    """:class:`limani.cluster.backend.Backend` for this machine's namespaces and processes."""

    def create(
        self, request: Request, *, progress: Progress, keep: bool = False, timeout_s: float = CREATE_TIMEOUT_S
    ) -> ClusterStatus:
        """Make a cluster; see :class:`limani.cluster.backend.Backend`."""
        need_root()
        if Layout.of(request.name).spec.exists():
            raise _exists(request.name)
        folder, version = provide(
            request.binaries, request.kubernetes_version, mirror=request.mirror, progress=progress
        )
        return status(create(request, folder, version, progress=progress, keep=keep, timeout_s=timeout_s))

    def delete(self, name: str) -> bool:
        """Remove a cluster."""
        return delete(name)

    def names(self) -> list[str]:
        """Names of the clusters recorded on this machine, sorted."""
        return names()

    def status(self, name: str) -> ClusterStatus:
        """The cluster as it is now."""
        return status(NativeCluster.open(name))

    def kubeconfig(self, name: str) -> Path:
        """Path of the administrator's kubeconfig."""
        return NativeCluster.open(name).kubeconfig

    def load(self, name: str, archive: Path, nodes: Sequence[str] | None = None) -> None:
        """Import an image archive into containerd of the nodes."""
        NativeCluster.open(name).load(archive, nodes)

    def facts(self, name: str) -> Facts | None:
        """What was settled."""
        return _facts(spec) if (spec := _readable(name)) else None

    def plan(self, request: Request) -> Facts:
        """What would be settled; binaries that are not here are not fetched for it."""
        need_root()
        version = versions(request.kubernetes_version)["kubernetes"]
        if request.binaries:
            provide(request.binaries, request.kubernetes_version, progress=lambda _: None)
        return _facts(plan(request, Path(request.binaries or "/"), version))

    def repairs(self, name: str) -> list[str]:
        """What :meth:`repair` would do."""
        from limani.cluster.native import repair

        cluster = NativeCluster.open(name)
        return repair.needed(cluster, status(cluster))

    def repair(self, name: str, *, progress: Progress, timeout_s: float = CREATE_TIMEOUT_S) -> list[str]:
        """Make the cluster whole; what cannot be started again is made again from the recorded spec."""
        from limani.cluster.native import repair

        need_root()
        cluster = NativeCluster.open(name)
        steps = repair.needed(cluster, status(cluster))
        if steps != [repair.AGAIN]:
            repair.start(cluster, steps, progress=progress, timeout_s=timeout_s)
            return steps
        progress(f"Nothing of cluster {name} runs; making it again from what is recorded")
        delete(name)
        self.create(repair.request_of(cluster.spec), progress=progress, timeout_s=timeout_s)
        return steps


def _facts(spec: Spec) -> Facts:
    return {name: value for name, value in msgspec.to_builtins(spec).items() if name in _FACTS}


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


def create(
    request: Request,
    binaries: Path,
    version: str,
    *,
    progress: Progress,
    keep: bool = False,
    timeout_s: float = CREATE_TIMEOUT_S,
) -> NativeCluster:
    """Make a cluster and wait until its nodes are Ready and its DNS answers.

    When it fails, the last lines of the logs go into the error's ``fields['logs']`` and nothing is left (everything is
    with ``keep``). Raises :class:`ClusterExists` if there is one of that name.
    """
    need_root()
    with cluster_lock(request.name):
        cluster = NativeCluster(settle(request, binaries, version))
        try:
            run_steps(Context(cluster, time.monotonic() + timeout_s, progress))
            cluster.layout.complete.touch()
        except BaseException as error:
            if isinstance(error, LimaniError):
                error.fields["logs"] = logs.tails(cluster.layout, lines=20)
            if not keep:
                _delete(request.name)
            raise
    return cluster


def settle(request: Request, binaries: Path, version: str) -> Spec:
    """Choose what the request leaves open and record the spec. Raises :class:`ClusterExists`."""
    layout = Layout.of(request.name)
    with machine_lock():
        if layout.spec.exists():
            raise _exists(request.name)
        spec = plan(request, binaries, version)
        layout.state.mkdir(parents=True, exist_ok=True, mode=0o711)
        write_private(layout.spec, msgspec.json.format(msgspec.json.encode(spec)))
        settings.prepare()
    return spec


def plan(request: Request, binaries: Path, version: str) -> Spec:
    """What :func:`settle` would record, given the clusters and networks of this machine now. Changes nothing."""
    others = [spec for name in names() if (spec := _readable(name))]
    taken = subnets.routed()
    for other in others:
        taken += [IPv4Network(net) for net in (other.node_subnet, other.pod_subnet, other.service_subnet)]
    chosen = {}
    for field in subnets.POOLS:
        chosen[field] = subnets.choose(field, getattr(request, field), taken)
        taken.append(chosen[field])
    used = {other.index for other in others}
    links = network.links()
    return Spec(
        name=request.name,
        index=next(i for i in range(1000) if i not in used and f"lm{i}" not in links),
        nodes=request.nodes,
        kubernetes_version=version,
        docker=request.docker,
        dockerd=_dockerd(binaries) if request.docker else "",
        node_subnet=str(chosen["node_subnet"]),
        pod_subnet=str(chosen["pod_subnet"]),
        service_subnet=str(chosen["service_subnet"]),
        api_port=subnets.free_port(request.api_port),
        binaries=str(binaries),
        mirror=request.mirror,
        node_disks=request.node_disks,
    )


def _readable(name: str) -> Spec | None:
    """The spec of a cluster; ``None`` if it is damaged or being deleted: that must not stand in another's way."""
    try:
        return NativeCluster.open(name).spec
    except ClusterUnknown:
        return None


def _exists(name: str) -> ClusterExists:
    return ClusterExists(f"A cluster {name!r} exists already.", name=name)


def _dockerd(folder: Path) -> str:
    """The dockerd to run on nodes: the folder's, else the machine's."""
    found = shutil.which("dockerd", path=f"{folder}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if not found:
        raise HostUnsuitable(
            "There is no dockerd for the nodes, neither among the binaries nor on this machine.",
            hint="Install it (apt-get install docker.io; it need not run), or leave out --docker.",
        )
    return found


def delete(name: str) -> bool:
    """Remove a cluster and everything of it, whatever state it is in; false if there was nothing."""
    need_root()
    with cluster_lock(check_name(name)):
        return _delete(name)


def _delete(name: str) -> bool:
    layout = Layout.of(name)
    found = layout.state.exists() or layout.run.exists() or bool(cgroups.processes(name))
    # The control plane first: nobody shall bring a node back meanwhile.
    kill_all(lambda: cgroups.processes(name, "control"))
    kill_all(lambda: cgroups.processes(name))
    if spec := _readable(name):
        for node in spec.node_list:
            network.down_node(spec, node)
        network.down_host(spec)
    with contextlib.suppress(TimedOut):
        await_true(lambda: not cgroups.remove(name), 5, f"the cgroups of cluster {name}")
    for folder in (layout.run, layout.state):
        if folder.exists():
            shutil.rmtree(folder)
    with machine_lock():
        if not names():
            settings.restore()
    return found
