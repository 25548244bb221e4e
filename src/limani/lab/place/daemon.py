"""A Docker daemon of the lab's own, for machines that run none.

It shares the machine's network and PIDs, because lessons look at both: a port published on 127.0.0.1 answers on this
machine, and a container's process is found by ``ps``. All else is its own: bridge, folders, cgroup, containerd, and a
mount namespace, so that the machine sees none of its mounts and the kernel removes them with its last process. It
touches neither firewall nor forwarding; ports are published by Docker's userland proxy.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import msgspec

from limani.cluster import paths, subnets
from limani.cluster.command import run
from limani.cluster.native import cgroups
from limani.cluster.native.cluster import await_true
from limani.cluster.native.lock import machine_lock
from limani.cluster.native.processes import Process, kill_all
from limani.errors import HostUnsuitable, TimedOut
from limani.lab.place import home as homes
from limani.lab.place.notify import start_daemon

POOL = IPv4Network("10.93.0.0/16")
"""Where a daemon's networks come from: a share of /20 each, the first /24 for its bridge, the upper half for others."""
COMMANDS = ("dockerd", "docker", "containerd", "runc", "ip", "mount", "unshare")
HIDDEN = ("/etc/docker", "/run/containerd", "/run/docker")
"""Folders in which dockerd and its helpers would else find or leave what belongs to the machine's own Docker."""
_SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
_LAUNCH = """
cgroups=$1 hidden=$2
shift 2
for folder in $cgroups; do echo $$ >"$folder/cgroup.procs"; done
for folder in $hidden; do mount -t tmpfs limani "$folder"; done
exec "$@"
"""


class Spec(msgspec.Struct, frozen=True):
    """What is settled when a daemon starts for the first time. ``made``: folders made only to be hidden."""

    subnet: str
    made: list[str]


@dataclass(frozen=True)
class OwnDocker:
    """The daemon of the lab with that id, running or not."""

    lab: str

    @property
    def name(self) -> str:
        """Its name among cgroups and folders; no cluster can be called so."""
        return f"docker.{self.lab}"

    @property
    def run(self) -> Path:
        """What need not outlive a reboot."""
        return paths.RUN_ROOT / self.name

    @property
    def data(self) -> Path:
        """Images, containers, and what was settled."""
        return paths.state_root().parent / self.name

    @property
    def bridge(self) -> str:
        """The link its containers hang on."""
        return f"lmd{self.lab}"

    @property
    def host(self) -> str:
        """Its address as DOCKER_HOST."""
        return f"unix://{self.run / 'docker.sock'}"

    @property
    def process(self) -> Process | None:
        """The daemon, if it runs."""
        return Process.recorded(self.run / "stat")

    def start(self) -> None:
        """Start it and wait until it serves; containers and images of an earlier run are there again.

        Raises HostUnsuitable saying what is missing, CommandFailed with the log's end, TimedOut.
        """
        if self.process:
            return
        check_machine()
        with machine_lock():
            self._sweep()
            spec = self._settle()
            self._make_bridge(IPv4Network(spec.subnet))
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(parents=True, mode=0o711)
        folders = [*cgroups.make(self.name, "daemon")]
        cgroups.make(self.name, "containers")
        command = ["unshare", "--mount", "--propagation", "slave", "sh", "-euc", _LAUNCH, "limani"]
        command += [" ".join(map(str, folders)), " ".join(HIDDEN), *self._dockerd(IPv4Network(spec.subnet))]
        try:
            pid = start_daemon(command, self.run, environment={"PATH": _SEARCH})
            (self.run / "stat").write_text(Path(f"/proc/{pid}/stat").read_text())
        except BaseException:
            self._sweep()
            raise

    def stop(self) -> bool:
        """End it with all its containers and remove everything of it, in whatever state it is; false for nothing."""
        found = self.data.exists() or self.run.exists() or bool(cgroups.processes(self.name))
        if not found:
            return False
        spec = homes.load(self._spec, Spec)
        self._sweep()
        with contextlib.suppress(TimedOut):
            await_true(lambda: not cgroups.remove(self.name), 5, f"the cgroups of {self.name}")
        for folder in (self.run, self.data):
            if folder.exists():
                shutil.rmtree(folder)
        for folder in (*map(Path, spec.made if spec else ()), self.data.parent):
            with contextlib.suppress(OSError):  # others use it
                folder.rmdir()
        return True

    @property
    def _spec(self) -> Path:
        return self.data / "spec.json"

    def _settle(self) -> Spec:
        """Choose a free network, once; make the folders that are to be hidden."""
        spec = homes.load(self._spec, Spec)
        made = [*(spec.made if spec else ()), *(folder for folder in HIDDEN if not Path(folder).exists())]
        taken = subnets.routed()
        if spec is None or any(IPv4Network(spec.subnet).overlaps(other) for other in taken):
            spec = Spec(_free(taken), made)
        homes.save(self._spec, Spec(spec.subnet, made))
        for folder in made:
            Path(folder).mkdir(parents=True, exist_ok=True)
        return spec

    def _make_bridge(self, subnet: IPv4Network) -> None:
        run(["ip", "link", "add", self.bridge, "type", "bridge"])
        run(["ip", "address", "add", f"{subnet[1]}/24", "dev", self.bridge])
        run(["ip", "link", "set", self.bridge, "up"])

    def _dockerd(self, subnet: IPv4Network) -> list[str]:
        upper = list(subnet.subnets())[1]
        options = {
            "host": self.host,
            "data-root": self.data / "data",
            "exec-root": self.run / "exec",
            "pidfile": self.run / "dockerd.pid",
            "group": 0,
            "exec-opt": "native.cgroupdriver=cgroupfs",
            "cgroup-parent": f"/{cgroups.BASE}/{self.name}/containers",
            "bridge": self.bridge,
            "default-address-pool": f"base={upper},size=24",
            "iptables": "false",
            "ip6tables": "false",
            "ip-forward": "false",
            "ip-masq": "false",
            "log-level": "warn",
            "log-opt": "max-size=1m",
        }
        return ["dockerd", *(f"--{name}={value}" for name, value in options.items())]

    def _sweep(self) -> None:
        """End every process of it and remove its links. Mounts and network namespaces go with the processes."""
        kill_all(lambda: cgroups.processes(self.name))
        spec = homes.load(self._spec, Spec)
        for link in self._links(IPv4Network(spec.subnet) if spec else None):
            run(["ip", "link", "delete", link], check=False)

    def _links(self, subnet: IPv4Network | None) -> Iterator[str]:
        """Its bridge, those of networks made by learners, and what hangs on them."""
        bridges = {self.bridge}
        for link in json.loads(run(["ip", "-j", "-4", "address", "show", "type", "bridge"]) or "[]"):
            addresses = [entry["local"] for entry in link.get("addr_info", ())]
            if subnet and any(IPv4Interface(address).ip in subnet for address in addresses):
                bridges.add(link["ifname"])
        for link in json.loads(run(["ip", "-j", "link", "show"]) or "[]"):
            if link["ifname"] in bridges or link.get("master") in bridges:
                yield link["ifname"]


def every() -> list[OwnDocker]:
    """The daemons of all labs of this machine, running or not, also those whose home is gone."""
    parents = (paths.RUN_ROOT, paths.state_root().parent)
    found = {path.name.removeprefix("docker.") for parent in parents for path in parent.glob("docker.*")}
    return [OwnDocker(lab) for lab in sorted(found)]


def _free(taken: list[IPv4Network]) -> str:
    for subnet in POOL.subnets(new_prefix=20):
        if not any(subnet.overlaps(other) for other in taken):
            return str(subnet)
    raise HostUnsuitable(f"No free network for the lab's Docker is left in {POOL}.", hint="limani lab down frees one.")


def check_machine() -> None:
    """Raise HostUnsuitable saying what this machine lacks to run a Docker daemon of the lab's own."""
    if os.geteuid():
        raise HostUnsuitable(
            "No Docker answers on this machine, and without root the lab cannot start one of its own.",
            hint="Start Docker (sudo systemctl start docker), name one that runs (--docker or DOCKER_HOST), "
            "or run with sudo.",
        )
    missing = [name for name in COMMANDS if shutil.which(name, path=_SEARCH) is None]
    if missing:
        raise HostUnsuitable(
            f"No Docker answers on this machine, and to start one the lab lacks: {', '.join(missing)}.",
            hint="apt-get install docker.io (Debian, Ubuntu; it need not run), or install Docker Engine.",
            missing=missing,
        )
