"""The cgroups of a cluster: ``/limani/CLUSTER/{control,n1,...}`` in every hierarchy (cgroups(7)).

cgroup v1 has one hierarchy per controller, v2 a single one in which processes may only sit in leaves. A node gets a
cgroup namespace rooted at its cgroup, so whatever runs in it lands below and is found again by ``delete``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limani.errors import HostUnsuitable

ROOT = Path("/sys/fs/cgroup")
BASE = "limani"
# What the kubelet insists on in v2 (pkg/kubelet/cm); io and hugetlb are taken where they exist.
_REQUIRED_V2 = ("cpuset", "cpu", "memory", "pids")


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy. ``options`` are the mount options that mount it again."""

    path: Path
    version: int
    options: str

    @property
    def unified_only(self) -> bool:
        """Whether it is cgroup v2 in full charge (not the controller-less one of a hybrid host)."""
        return self.version == 2 and self.path == ROOT


def hierarchies(mounts: str | None = None) -> list[Hierarchy]:
    """The hierarchies mounted below /sys/fs/cgroup, from ``/proc/self/mounts`` (or its text given)."""
    found = {}
    for line in (mounts if mounts is not None else Path("/proc/self/mounts").read_text()).splitlines():
        _, target, kind, options, *_ = line.split()
        path = Path(target)
        if kind not in ("cgroup", "cgroup2") or (path != ROOT and ROOT not in path.parents):
            continue
        if kind == "cgroup2":
            found[path] = Hierarchy(path, 2, "")
            continue
        # Generic flags are no part of a hierarchy's identity; what is left names controllers or the name= hierarchy.
        generic = {"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "seclabel"}
        special = [o for o in options.split(",") if o not in generic and not o.startswith(("release_agent", "clone"))]
        named = any(option.startswith("name=") for option in special)
        found[path] = Hierarchy(path, 1, ",".join(([] if not named else ["none"]) + special))
    if not found:
        raise HostUnsuitable("No cgroup file system is mounted below /sys/fs/cgroup.", path=str(ROOT))
    return list(found.values())


def version() -> int:
    """1 for a v1 or hybrid host, 2 where cgroup v2 is in charge."""
    return 2 if any(h.unified_only for h in hierarchies()) else 1


def make(cluster: str, part: str) -> list[Path]:
    """Make the cgroup of a part of a cluster in every hierarchy, ready for processes; return the folders.

    Raises :class:`HostUnsuitable` where a v2 host does not hand out a controller the kubelet needs.
    """
    folders = []
    for hierarchy in hierarchies():
        folder = hierarchy.path
        for step in (BASE, cluster, part):
            if hierarchy.unified_only:
                _delegate(folder)
            folder = folder / step
            folder.mkdir(exist_ok=True)
            if hierarchy.version == 1:
                _fill_cpuset(folder)
        folders.append(folder)
    return folders


def processes(cluster: str, part: str = "") -> set[int]:
    """PIDs of all processes in the cgroups of a cluster, or of one part of it, and below, in any hierarchy."""
    pids: set[int] = set()
    for folder in _folders(f"{cluster}/{part}"):
        try:
            pids.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
        except (FileNotFoundError, OSError):
            continue
    return pids


def remove(cluster: str, part: str = "") -> list[Path]:
    """Remove the cgroups of a cluster or a part (and the common base when it is empty); return what is still busy."""
    busy = []
    for folder in reversed(list(_folders(f"{cluster}/{part}"))):
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            busy.append(folder)
    for hierarchy in hierarchies():
        try:
            (hierarchy.path / BASE).rmdir()
        except OSError:
            continue
    return busy


def lacking_v2(folder: Path) -> list[str]:
    """Controllers the kubelet needs that a v2 cgroup does not offer."""
    available = (folder / "cgroup.controllers").read_text().split()
    return [controller for controller in _REQUIRED_V2 if controller not in available]


def _folders(below: str) -> Iterator[Path]:
    """The folders of a cluster or a part in every hierarchy, parents first."""
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy.path / BASE / below):
            yield Path(folder)


def _fill_cpuset(folder: Path) -> None:
    """A new v1 cpuset is empty and takes no process before it has CPUs and memory nodes."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = folder / name
        if file.exists() and not file.read_text().strip():
            file.write_text((folder.parent / name).read_text())


def _delegate(folder: Path) -> None:
    """Hand the controllers of a v2 cgroup on to its children."""
    available = (folder / "cgroup.controllers").read_text().split()
    if missing := lacking_v2(folder):
        raise HostUnsuitable(
            f"The cgroup {folder} lacks the controllers {', '.join(missing)}, which the kubelet needs.",
            hint="In a container: run it with its own cgroup namespace and all controllers delegated.",
            missing=missing,
        )
    enabled = (folder / "cgroup.subtree_control").read_text().split()
    wanted = [c for c in (*_REQUIRED_V2, "io", "hugetlb") if c in available and c not in enabled]
    try:
        for controller in wanted:
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError as error:
        raise HostUnsuitable(
            f"The cgroup {folder} does not hand its controllers on: {error}.",
            hint="In a container: start it so that its processes sit in a leaf below the root of its cgroup namespace.",
        ) from error
