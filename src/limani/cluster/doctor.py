"""What this machine offers a native cluster, what is missing, and how to get it (package names of Debian/Ubuntu)."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from limani.cluster import paths
from limani.cluster.native import cgroups
from limani.errors import HostUnsuitable

_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
# Command -> (package, what it is for, whether a cluster cannot be without it).
_COMMANDS = {
    "ip": ("iproute2", "links, addresses and namespaces", True),
    "nft": ("nftables", "masquerading and Services", True),
    "runc": ("runc", "starting containers", True),
    "nsenter": ("util-linux", "entering nodes", True),
    "unshare": ("util-linux", "making nodes", True),
    "mount": ("mount", "the nodes' own file systems", True),
    "iptables": ("iptables", "host ports of pods, and Docker on nodes", False),
    "conntrack": ("conntrack", "tidying up connections of Services", False),
    "mkfs.ext4": ("e2fsprogs", "disks of limited size (--node-disk)", False),
    "modprobe": ("kmod", "loading kernel modules", False),
    "dockerd": ("docker.io", "Docker on nodes (--docker); it need not run", False),
    "go": (
        "golang (or go.dev/dl; the version go.mod asks for)",
        "compiling binaries where none can be downloaded",
        False,
    ),
}
_MEMORY_BYTES = 2 << 30


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at. ``state``: ok, missing (no cluster without it) or optional (lacking, but not needed)."""

    name: str
    state: str
    found: str
    hint: str = ""


def examine() -> list[Check]:
    """Look at everything; changes nothing."""
    checks = [
        _root(),
        *(_command(name) for name in _COMMANDS),
        *(_module(name) for name in ("cryptography", "supervisor")),
    ]
    return [*checks, *(check() for check in _KERNEL), _state_folder(), _memory()]


def _root() -> Check:
    if os.geteuid() == 0:
        return Check(name="root", state="ok", found="yes")
    hint = "Run limani with sudo, or use a kind or minikube cluster."
    return Check(name="root", state="missing", found="no", hint=hint)


def _command(name: str) -> Check:
    package, purpose, needed = _COMMANDS[name]
    path = shutil.which(name, path=_PATH)
    if path:
        return Check(name=name, state="ok", found=path)
    hint = f"for {purpose}: apt-get install {package}"
    return Check(name=name, state="missing" if needed else "optional", found="no", hint=hint)


def _module(name: str) -> Check:
    if importlib.util.find_spec(name):
        return Check(name=f"Python {name}", state="ok", found="yes")
    return Check(name=f"Python {name}", state="missing", found="no", hint="pip install 'limani[lab]'")


def _cgroups() -> Check:
    try:
        version = cgroups.version()
        if version == 2:
            lacking = cgroups.lacking_v2(cgroups.ROOT)
            if lacking:
                hint = "Give the container or slice Limani runs in these controllers."
                return Check(name="cgroups", state="missing", found=f"v2 without {', '.join(lacking)}", hint=hint)
    except HostUnsuitable as error:
        return Check(
            name="cgroups", state="missing", found=error.message, hint="mount -t cgroup2 cgroup2 /sys/fs/cgroup"
        )
    return Check(name="cgroups", state="ok", found=f"v{version}")


def _overlay() -> Check:
    if "\toverlay\n" in Path("/proc/filesystems").read_text() or _loadable("overlay"):
        return Check(name="overlayfs", state="ok", found="yes")
    return Check(name="overlayfs", state="missing", found="no", hint="Use a kernel with CONFIG_OVERLAY_FS.")


def _bridge_netfilter() -> Check:
    if Path("/proc/sys/net/bridge").exists() or _loadable("br_netfilter"):
        return Check(name="br_netfilter", state="ok", found="yes")
    hint = "modprobe br_netfilter; without it a pod may not reach a Service whose pod is on the same node."
    return Check(name="br_netfilter", state="optional", found="no", hint=hint)


def _state_folder() -> Check:
    folder = paths.state_root()
    while not folder.exists():
        folder = folder.parent
    kind = file_system(folder)
    if kind == "overlay":
        hint = "Point LIMANI_STATE_DIR at a folder on a disk or volume: containers' layers cannot lie on overlayfs."
        return Check(name="state folder", state="missing", found=f"{folder} on overlayfs", hint=hint)
    free = shutil.disk_usage(folder).free
    state, hint = ("ok", "") if free > 4 << 30 else ("optional", "Less than 4 GiB are free; images need room.")
    return Check(
        name="state folder", state=state, found=f"{folder} on {kind}, {free / (1 << 30):.1f} GiB free", hint=hint
    )


def _memory() -> Check:
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) << 10
    found = f"{available / (1 << 30):.1f} GiB available"
    if available >= _MEMORY_BYTES:
        return Check(name="memory", state="ok", found=found)
    return Check(name="memory", state="optional", found=found, hint="A cluster of three nodes takes about 1.2 GiB.")


def file_system(path: Path, mounts: str | None = None) -> str:
    """Kind of the file system a folder lies on, from ``/proc/self/mounts`` (or its text given)."""
    best, kind = Path("/"), "unknown"
    for line in (mounts if mounts is not None else Path("/proc/self/mounts").read_text()).splitlines():
        _, target, this, *_ = line.split()
        # The last mount on a path is the one that is seen.
        if path.is_relative_to(target) and len(Path(target).parts) >= len(best.parts):
            best, kind = Path(target), this
    return kind


def _loadable(module: str) -> bool:
    folder = Path("/lib/modules") / os.uname().release
    listed = [folder / name for name in ("modules.dep", "modules.builtin")]
    return any(file.exists() and f"/{module}.ko" in file.read_text() for file in listed)


_KERNEL: tuple[Callable[[], Check], ...] = (_cgroups, _overlay, _bridge_netfilter)
