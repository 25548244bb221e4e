"""Looking at a Docker daemon of the lab's own from outside: what of it is on this machine."""

from __future__ import annotations

import json
import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from limani.cluster.native import cgroups
from limani.lab.place.daemon import OwnDocker
from limani.lab.place.docker import DockerPlace
from limani.lab.place.home import identity


def docker(place: DockerPlace, *arguments: str, code: int = 0, timeout_s: float = 60) -> str:
    """Run the docker command; fails unless it ends with ``code``."""
    command = ["docker", "--host", place.host, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == code, f"{command}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stdout.strip()


def own(home: Path) -> OwnDocker:
    """The lab's own daemon."""
    return OwnDocker(identity(home))


def traces(daemon: OwnDocker, links: set[str]) -> set[str]:
    """What of a daemon is on this machine: processes, cgroups, folders, mounts, and which of its ``links``."""
    found = {f"process {pid}" for pid in cgroups.processes(daemon.name)}
    for hierarchy in cgroups.hierarchies():
        found |= {str(path) for path in [hierarchy.path / cgroups.BASE / daemon.name] if path.exists()}
    found |= {str(path) for path in (daemon.run, daemon.data) if path.exists()}
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found |= {f"mount {line}" for line in mounts if daemon.lab in line}
    return found | (links & {link["ifname"] for link in _addresses()})


def links_of(daemon: OwnDocker) -> set[str]:
    """Names of the bridges with an address of the daemon's networks, and of what hangs on them."""
    subnet = IPv4Network(json.loads((daemon.data / "spec.json").read_text())["subnet"])
    shown = _addresses()
    bridges = {
        link["ifname"]
        for link in shown
        if any(a["family"] == "inet" and IPv4Address(a["local"]) in subnet for a in link.get("addr_info", ()))
    }
    return bridges | {link["ifname"] for link in shown if link.get("master") in bridges}


def _addresses() -> list[dict[str, Any]]:
    done = subprocess.run(["ip", "-j", "address"], capture_output=True, check=True)
    return list(json.loads(done.stdout))
