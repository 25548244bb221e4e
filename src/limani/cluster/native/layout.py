"""Every path of a native cluster, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from limani.cluster import paths


@dataclass(frozen=True)
class NodeLayout:
    """Paths of one node as the host sees them."""

    home: Path
    run: Path

    @property
    def etc(self) -> Path:
        """What the node's /etc has besides the host's (upper layer of an overlay)."""
        return self.home / "etc"

    @property
    def log(self) -> Path:
        """The node's /var/log."""
        return self.home / "log"

    @property
    def disk(self) -> Path:
        """What counts as the node's disk: its /var and its runtimes' data (a file system of its own if limited)."""
        return self.home / "disk"

    @property
    def disk_file(self) -> Path:
        """The file behind a limited disk."""
        return self.home / "disk.img"

    @property
    def boot_script(self) -> Path:
        """The script that makes the namespaces and becomes the node's PID 1."""
        return self.home / "boot.sh"

    @property
    def stat_file(self) -> Path:
        """``/proc/PID/stat`` of the node's PID 1 as it was at boot (proc(5)): its PID and start time on the host."""
        return self.run / "stat"

    @property
    def off_file(self) -> Path:
        """Present while the node was switched off on purpose."""
        return self.run / "off"


@dataclass(frozen=True)
class Layout:
    """Paths of a cluster."""

    name: str
    state: Path
    run: Path

    @classmethod
    def of(cls, name: str) -> Layout:
        """The paths of the cluster of that name, whether it exists or not."""
        return cls(name, paths.state_root() / name, paths.RUN_ROOT / name)

    @property
    def spec(self) -> Path:
        """The settled spec; a cluster exists when this file does."""
        return self.state / "spec.json"

    @property
    def complete(self) -> Path:
        """Present once the cluster has been created to the end."""
        return self.state / "complete"

    @property
    def pki(self) -> Path:
        """Certificates and keys of the control plane."""
        return self.state / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (self-contained)."""
        return self.state / "kubeconfig"

    @property
    def control(self) -> Path:
        """Configuration, data and logs of the control plane."""
        return self.state / "control"

    @property
    def control_log(self) -> Path:
        """Logs of the control plane."""
        return self.control / "log"

    @property
    def supervisor_socket(self) -> Path:
        """Where the control plane's supervisor listens."""
        return self.run / "supervisor.sock"

    @property
    def api_gate(self) -> Path:
        """Where processes wait that need the API server, while it starts for the first time (gate.py)."""
        return self.run / "api.gate"

    def node(self, name: str) -> NodeLayout:
        """The paths of one node."""
        return NodeLayout(self.state / "nodes" / name, self.run / name)
