"""The interface every kind of lab cluster has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from limani.cluster.spec import Request
from limani.cluster.status import ClusterStatus
from limani.errors import BadInput

Progress = Callable[[str], None]
# Nodes, versions, networks by the names of Request's fields; JSON types.
Facts = dict[str, Any]
BACKENDS = ("native",)
CREATE_TIMEOUT_S = 120.0


class Backend(Protocol):
    """What makes and looks after clusters of one kind. Every method raises :class:`limani.errors.LimaniError` only."""

    def create(
        self, request: Request, *, progress: Progress, keep: bool = False, timeout_s: float = CREATE_TIMEOUT_S
    ) -> ClusterStatus:
        """Make a cluster; wait until nodes are Ready and DNS answers (``timeout_s`` once binaries are there).

        On failure nothing is left, with ``keep`` everything is. Raises ``ClusterExists``, ``HostUnsuitable``, ...
        """
        ...

    def delete(self, name: str) -> bool:
        """Remove a cluster in whatever state it is; false if there was nothing to remove."""
        ...

    def names(self) -> list[str]:
        """Names of the clusters, sorted."""
        ...

    def status(self, name: str) -> ClusterStatus:
        """The cluster as it is now. Raises ``ClusterUnknown``."""
        ...

    def kubeconfig(self, name: str) -> Path:
        """Path of the administrator's kubeconfig. Raises ``ClusterUnknown``."""
        ...

    def load(self, name: str, archive: Path, nodes: Sequence[str] | None = None) -> None:
        """Import an image archive into the runtime of all nodes or of those named."""
        ...

    def facts(self, name: str) -> Facts | None:
        """What was settled when the cluster was made; ``None`` if there is none."""
        ...

    def plan(self, request: Request) -> Facts:
        """What would be settled if the cluster were made now. Changes nothing; raises what ``create`` would at once."""
        ...

    def repairs(self, name: str) -> list[str]:
        """What :meth:`repair` would do, in words. Changes nothing."""
        ...

    def repair(self, name: str, *, progress: Progress, timeout_s: float = CREATE_TIMEOUT_S) -> list[str]:
        """Start what is down (make the cluster again after a reboot), wait until it runs; returns what was done."""
        ...


def get(name: str) -> Backend:
    """The backend of that name. Raises :class:`BadInput` for an unknown one."""
    if name == "native":
        from limani.cluster.native.backend import NativeBackend

        return NativeBackend()
    raise BadInput(f"There is no backend {name!r}, only {', '.join(BACKENDS)}.", backend=name)
