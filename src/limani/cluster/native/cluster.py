"""A native cluster that exists: its state, its nodes and processes, loading images, commands inside nodes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from limani.cluster.command import run
from limani.cluster.native import cgroups, network
from limani.cluster.native import node as nodes
from limani.cluster.native.api import Api
from limani.cluster.native.bootscript import API_GATE
from limani.cluster.native.control import WARDEN
from limani.cluster.native.gate import open_gate
from limani.cluster.native.layout import Layout
from limani.cluster.native.processes import Process
from limani.cluster.native.supervisor import Supervisor
from limani.cluster.spec import Node, Spec
from limani.errors import ClusterUnknown, NodeUnknown, RuntimeUnavailable, TimedOut

T = TypeVar("T")
R = TypeVar("R")


def parallel(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """``work`` for every item at once, results in order; the first failure is raised after all have ended."""
    if not items:
        return []
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(work, items))


class NativeCluster:
    """One cluster by its recorded spec. Every call looks at the machine; nothing is remembered between calls."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.layout = Layout.of(spec.name)

    @classmethod
    def open(cls, name: str) -> NativeCluster:
        """The cluster of that name, running or not. Raises :class:`ClusterUnknown`."""
        layout = Layout.of(name)
        try:
            return cls(msgspec.json.decode(layout.spec.read_bytes(), type=Spec))
        except FileNotFoundError as error:
            raise ClusterUnknown(f"There is no cluster {name!r} on this machine.", name=name) from error
        except msgspec.MsgspecError as error:
            raise ClusterUnknown(
                f"What is recorded of cluster {name!r} cannot be read ({layout.spec}: {error}).",
                hint=f"limani cluster delete {name} removes it.",
                name=name,
            ) from error

    # --- what others need of it ------------------------------------------------------------------------------------

    @property
    def kubeconfig(self) -> Path:
        """Path of the administrator's kubeconfig."""
        return self.layout.kubeconfig

    @property
    def api(self) -> Api:
        """A client of the API server as administrator."""
        return Api(self.spec.server, self.layout.pki)

    @property
    def control(self) -> Supervisor:
        """The control plane's supervisor."""
        return Supervisor(self.layout.supervisor_socket, f"cluster {self.spec.name}")

    def node(self, name: str) -> Node:
        """The node of that name. Raises :class:`NodeUnknown`."""
        for node in self.spec.node_list:
            if node.name == name:
                return node
        raise NodeUnknown(f"Cluster {self.spec.name} has no node {name!r}, only n1 to n{self.spec.nodes}.", node=name)

    def init(self, node: str) -> Process | None:
        """The node's PID 1 as the host sees it, or ``None`` while the node is down."""
        return Process.recorded(self.layout.node(self.node(node).name).stat_file)

    def root(self, node: str) -> Path:
        """The node's root folder as the host reaches it. Raises :class:`RuntimeUnavailable` while the node is down."""
        init = self.init(node)
        if init is None:
            raise RuntimeUnavailable(
                f"Node {node} of cluster {self.spec.name} is down.",
                hint=f"limani cluster node start {node} --cluster {self.spec.name}",
                node=node,
            )
        return Path(f"/proc/{init.pid}/root")

    def socket(self, node: str, path: str = nodes.CONTAINERD_SOCKET) -> Path:
        """A socket of the node as the host reaches it (containerd's unless another path is given)."""
        return Path(f"{self.root(node)}{path}")

    def supervisor(self, node: str) -> Supervisor:
        """The node's supervisor."""
        return Supervisor(self.socket(node, nodes.SUPERVISOR_SOCKET), f"node {node}")

    def command(self, node: str, arguments: Sequence[str]) -> list[str]:
        """The host's command line that runs ``arguments`` inside the node."""
        self.root(node)
        init = self.init(node)
        assert init is not None
        enter = [
            "nsenter",
            "-t",
            str(init.pid),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--root",
            "--wd",
        ]
        return [*enter, "/usr/bin/env", f"PATH={self.spec.binaries}:{os.environ.get('PATH', '')}", *arguments]

    def exec(self, node: str, arguments: Sequence[str], *, stdin: str | None = None, timeout_s: float = 60) -> str:
        """Run a command inside a node and return what it printed. Errors as :func:`limani.cluster.command.run`."""
        return run(self.command(node, arguments), stdin=stdin, timeout_s=timeout_s)

    def load(self, archive: Path, node_names: Iterable[str] | None = None, *, timeout_s: float = 300) -> None:
        """Import an image archive (docker-archive or OCI) into containerd of all nodes, or of those named, at once."""

        def one(name: str) -> None:
            run(
                [
                    *(f"{self.spec.binaries}/ctr", "--address", str(self.socket(name)), "--namespace", "k8s.io"),
                    *("images", "import", str(archive)),
                ],
                timeout_s=timeout_s,
            )

        parallel(one, [self.node(n).name for n in node_names] if node_names else [n.name for n in self.spec.node_list])

    # --- power and cables ------------------------------------------------------------------------------------------

    def start_control(self) -> None:
        """Start the control plane's supervisor in its cgroup (does nothing if it answers)."""
        if self.control.answers():
            return
        folders = cgroups.make(self.spec.name, "control")
        enter = "".join(f"echo $$ > '{folder}/cgroup.procs'; " for folder in folders)
        config = self.layout.control / "supervisord.conf"
        self._spawn(
            ["/bin/sh", "-c", f'{enter}exec "$0" -m supervisor.supervisord -c "$1"', sys.executable, str(config)],
            self.layout.control_log / "start.log",
        )
        await_true(self.control.answers, 10, f"the supervisor of cluster {self.spec.name}")

    def start_node(self, name: str, *, gate: bool = False) -> bool:
        """Switch a node on and wait until its supervisor answers; false if it was on already.

        With ``gate`` what needs the API server waits for :meth:`open_node_gate`. The caller holds the cluster's lock.
        """
        node = self.node(name)
        here = self.layout.node(node.name)
        here.run.mkdir(parents=True, exist_ok=True)
        here.off_file.unlink(missing_ok=True)
        if self.init(name) is not None:
            return False
        here.stat_file.unlink(missing_ok=True)
        # Folders of its last life (a v2 leaf, pods' cgroups) would only confuse the kubelet.
        cgroups.remove(self.spec.name, node.name)
        cgroups.make(self.spec.name, node.name)
        network.up_node(self.spec, node)
        self._spawn(["/bin/sh", str(here.boot_script), "outside"], here.log / "limani" / "boot.log", gate=gate)
        await_true(lambda: self.init(name) is not None and self.supervisor(name).answers(), 10, f"node {name}")
        with contextlib.suppress(RuntimeUnavailable):
            self.control.signal(WARDEN, "HUP")
        return True

    def open_node_gate(self, name: str) -> None:
        """Let the node's processes through that wait for the API server."""
        open_gate(self.socket(name, str(API_GATE)))

    def stop_node(self, name: str) -> bool:
        """Pull a node's plug: its PID 1 is killed and with it all its processes; false if it was off already.

        The caller holds the cluster's lock.
        """
        node, init = self.node(name), self.init(name)
        off = self.layout.node(node.name).off_file
        off.parent.mkdir(parents=True, exist_ok=True)
        off.touch()
        if init is not None:
            init.kill()
        network.down_node(self.spec, node)
        return init is not None

    def connect_node(self, name: str, *, connected: bool) -> bool:
        """Plug a node's network cable in, or pull it; false if it was so. Raises as :meth:`root` if it is off."""
        self.root(name)
        node = self.node(name)
        if network.link_is_up(node) == connected:
            return False
        network.set_link(node, up=connected)
        return True

    # --- single processes ------------------------------------------------------------------------------------------

    def start_process(self, process: str) -> bool:
        """Start ``etcd``, ``n1/kubelet``, ...; false if it ran already."""
        supervisor, program = self._program(process)
        return supervisor.start(program)

    def stop_process(self, process: str) -> bool:
        """Stop a process and wait for its end; false if it did not run. It stays down until started."""
        supervisor, program = self._program(process)
        return supervisor.stop(program)

    def restart_process(self, process: str) -> bool:
        """Stop a process if it runs and start it; always true."""
        self.stop_process(process)
        return self.start_process(process)

    def _program(self, process: str) -> tuple[Supervisor, str]:
        node, separator, program = process.partition("/")
        return (self.supervisor(node), program) if separator else (self.control, process)

    def _spawn(self, arguments: list[str], log: Path, *, gate: bool = False) -> None:
        """Start a process that outlives this one and is nobody's child here (setsid(1) forks)."""
        with log.open("ab") as output:
            subprocess.run(
                ["setsid", "--fork", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=os.environ | {"LIMANI_GATE": "1" if gate else ""},
                check=True,
            )


def await_true(condition: Callable[[], bool], wait_s: float, what: str) -> None:
    """Ask until ``condition`` holds, with growing pauses; for states nobody announces. Raises :class:`TimedOut`."""
    deadline, pause = time.monotonic() + wait_s, 0.02
    while not condition():
        if time.monotonic() > deadline:
            raise TimedOut(f"Waited {wait_s:g} s in vain for {what}.")
        time.sleep(pause)
        pause = min(pause * 1.4, 0.25)
