"""Settings of the whole machine that a cluster changes, kept to be put back when the last cluster goes.

The kubelet sets some kernel parameters itself (pkg/kubelet/cm, setupKernelTunables); the bridge needs forwarding.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from limani.cluster import paths
from limani.cluster.command import run
from limani.errors import CommandFailed, HostUnsuitable

_SYSCTL = Path("/proc/sys")
_CHANGED = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def _record() -> Path:
    return paths.state_root() / ".machine.json"


def prepare() -> None:
    """Record the settings unless that was done, turn forwarding on, load what pods on one bridge need.

    The caller holds the machine's lock.
    """
    record = _record()
    if not record.exists():
        before = {name: (_SYSCTL / name).read_text().strip() for name in _CHANGED if (_SYSCTL / name).exists()}
        record.parent.mkdir(parents=True, exist_ok=True)
        partial = record.with_suffix(".partial")
        partial.write_text(json.dumps({"boot": boot_id(), "before": before}))
        partial.rename(record)
    (_SYSCTL / "net/ipv4/ip_forward").write_text("1")
    # Without it answers between two pods of a node would pass kube-proxy by (they stay on the bridge).
    if not (_SYSCTL / "net/bridge").exists():
        with contextlib.suppress(CommandFailed, HostUnsuitable):
            run(["modprobe", "-a", "br_netfilter", "overlay"])


def restore() -> None:
    """Put the settings back as they were; after a reboot there is nothing to put back. Caller: the machine's lock."""
    record = _record()
    if not record.exists():
        return
    kept = json.loads(record.read_text())
    if kept["boot"] == boot_id():
        for name, value in kept["before"].items():
            # Somebody else's bridge (Docker, libvirt) may rely on forwarding by now.
            if name == "net/ipv4/ip_forward" and _bridges():
                continue
            with contextlib.suppress(OSError):
                (_SYSCTL / name).write_text(value)
    record.unlink()


def boot_id() -> str:
    """Identity of this boot of the machine (random(4), /proc/sys/kernel/random/boot_id)."""
    return (_SYSCTL / "kernel/random/boot_id").read_text().strip()


def _bridges() -> bool:
    return bool(json.loads(run(["ip", "-j", "link", "show", "type", "bridge"]) or "[]"))
