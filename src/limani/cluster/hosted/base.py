"""The interface of backends that drive another program, and what is the same in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from limani.cluster.backend import CREATE_TIMEOUT_S, Progress
from limani.cluster.hosted import record
from limani.cluster.hosted.options import HostedRequest
from limani.cluster.status import ClusterStatus
from limani.errors import ClusterExists

Differences = dict[str, dict[str, Any]]
"""``{"nodes": {"found": 3, "wanted": 5}}``"""

BACKENDS = ("kind", "minikube")


class HostedBackend(Protocol):
    """As :class:`limani.cluster.backend.Backend`; it changes only clusters that are Limani's."""

    name: str

    def create(
        self, request: HostedRequest, *, progress: Progress, keep: bool = False, timeout_s: float = CREATE_TIMEOUT_S
    ) -> ClusterStatus:
        """Make a cluster and wait until its nodes are Ready and DNS answers."""
        ...

    def adopt(self, request: HostedRequest) -> None:
        """From now on look after a cluster another program made. Raises ``ClusterUnknown``."""
        ...

    def delete(self, name: str) -> bool:
        """Remove a cluster of Limani's; false if there was nothing. Raises ``ClusterExists`` for a foreign one."""
        ...

    def names(self) -> list[str]:
        """Names of all clusters of this kind, Limani's and others, sorted."""
        ...

    def status(self, name: str) -> ClusterStatus:
        """The cluster as it is now. Raises ``ClusterUnknown``."""
        ...

    def differences(self, request: HostedRequest) -> Differences:
        """In what the cluster of that name differs from what is asked; what is not asked is right. Raises as status."""
        ...

    def kubeconfig(self, name: str) -> Path:
        """Path of a kubeconfig Limani keeps for it. Raises ``ClusterUnknown``."""
        ...

    def load(self, name: str, archive: Path, nodes: Sequence[str] | None = None) -> None:
        """Import an image archive into the runtime of all nodes or of those named."""
        ...

    def start(self, name: str, node: str | None = None) -> bool:
        """Start a node, or all of the cluster; false if it ran already."""
        ...

    def stop(self, name: str, node: str | None = None) -> bool:
        """Stop a node, or all of the cluster; false if it was stopped already."""
        ...


def get(name: str) -> HostedBackend:
    """The backend of that name, one of ``BACKENDS``."""
    if name == "kind":
        from limani.cluster.kind.backend import KindBackend

        return KindBackend()
    from limani.cluster.minikube.backend import MinikubeBackend

    return MinikubeBackend()


def need_ours(backend: str, name: str) -> record.Record:
    """The record of a cluster. Raises :class:`ClusterExists` if it is not Limani's, so that it is not touched."""
    found = record.load(backend, name)
    if found is None:
        raise ClusterExists(
            f"The {backend} cluster {name!r} was not made by Limani, so it is left alone.",
            hint=f"Let Limani look after it: limani cluster create {name} --backend {backend} --adopt, or adopt: true.",
            name=name,
        )
    return found


def refuse_differences(backend: str, name: str, found: Differences) -> None:
    """Raise :class:`ClusterExists` naming what differs, if something does."""
    if found:
        words = ", ".join(
            f"{key} is {value['found']} and not {value['wanted']}" for key, value in sorted(found.items())
        )
        raise ClusterExists(f"A {backend} cluster {name!r} exists already, but {words}.", name=name, differences=found)


def compare(found: dict[str, Any], wanted: dict[str, Any]) -> Differences:
    """What is wanted (not None, not empty) but found otherwise."""
    return {
        key: {"found": found.get(key), "wanted": value}
        for key, value in wanted.items()
        if value not in (None, "", [], {}, ()) and found.get(key) != value
    }


def inotify_hint() -> str | None:
    """What to do where the kernel lets too few programs watch files for several nodes; None where it is enough."""
    path = Path("/proc/sys/fs/inotify/max_user_instances")
    if path.exists() and int(path.read_text()) < 512:
        return "Nodes may lack inotify instances: sudo sysctl fs.inotify.max_user_instances=1024, then run again."
    return None
