"""The script that boots a node: cgroups, namespaces, mounts, supervisord."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from limani.cluster.native.cgroups import Hierarchy
from limani.cluster.native.layout import Layout
from limani.cluster.spec import Node, Spec

# Closed during the first boot only, while the API server starts as well.
API_GATE = Path("/run/api.gate")
# Folders of the node on its own disk: name on the disk -> path in the node.
_OWN = {
    "containerd": "/var/lib/containerd",
    "kubelet": "/var/lib/kubelet",
    "cni": "/var/lib/cni",
    "docker": "/var/lib/docker",
}


@dataclass(frozen=True)
class Host:
    """What of this machine a node's configuration depends on."""

    python: str
    may_raise_limits: bool
    hierarchies: tuple[Hierarchy, ...]


def boot_script(spec: Spec, layout: Layout, node: Node, host: Host) -> str:
    """The script that boots the node, in three stages, each replacing the one before.

    ``outside`` enters the node's cgroups and network; ``leaf`` steps into a leaf (cgroup v2 wants processes
    there) and opens the other namespaces; ``inside`` is PID 1, mounts the node's own files and becomes supervisord.
    """
    here = layout.node(node.name)
    folders = [h.path / "limani" / spec.name / node.name for h in host.hierarchies]
    enter = "\n".join(f"  echo $$ > {_q(folder)}/cgroup.procs" for folder in folders)
    leaves = [folder for h, folder in zip(host.hierarchies, folders, strict=True) if h.unified_only]
    leaf = "\n".join(f"  mkdir -p {_q(f)}/init; echo $$ > {_q(f)}/init/cgroup.procs" for f in leaves) or "  :"
    again = f"exec {{}} /bin/sh {_q(here.boot_script)}"
    return f"""\
#!/bin/sh
# Node {node.name} of cluster {spec.name}: sh boot.sh outside
set -e
umask 022
case "$1" in
outside)
{enter}
  {again.format(f"nsenter --net=/run/netns/{node.netns} unshare --cgroup")} leaf
  ;;
leaf)
{leaf}
  {again.format("unshare --mount --propagation slave --uts --ipc --pid --fork")} inside
  ;;
inside)
  # /proc is still the host's: this is our PID out there.
  read -r stat < /proc/self/stat
  echo "$stat" > {_q(here.stat_file)}
  hostname {node.name}
  mount -t proc proc /proc
{_mounts(layout, node, host)}
  echo 1 > /proc/sys/net/ipv4/ip_forward
  exec {_q(host.python)} -m supervisor.supervisord -c /etc/limani/supervisord.conf
  ;;
esac
"""


def _mounts(layout: Layout, node: Node, host: Host) -> str:
    here = layout.node(node.name)
    lines = ["mount -t sysfs sysfs /sys"]
    if not any(h.unified_only for h in host.hierarchies):
        lines.append("mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup")
    for hierarchy in host.hierarchies:
        kind, options = ("cgroup2", "") if hierarchy.version == 2 else ("cgroup", f"-o {_q(hierarchy.options)} ")
        make = "" if hierarchy.unified_only else f"mkdir {_q(hierarchy.path)}; "
        lines.append(f"{make}mount -t {kind} {options}{kind} {_q(hierarchy.path)}")
    if node.disk_bytes is not None:
        lines.append(f"mount -o loop {_q(here.disk_file)} {_q(here.disk)}")
    lines += [
        # Names of other clusters' network namespaces would keep them alive in here.
        "umount -R -l /run/netns 2>/dev/null || :",
        "mount -t tmpfs -o mode=755 tmpfs /run",
        # The node's folders may lie below /var; take hold of them before an overlay covers it.
        "mkdir -p /run/lock /run/node",
        f'[ -z "$LIMANI_GATE" ] || mkfifo {API_GATE}',
        f"mount --rbind {_q(here.home)} /run/node",
        "mkdir -p " + " ".join(f"/run/node/disk/{name}" for name in ("var", "work", *_OWN)),
        _overlay("/etc", "/run/node/etc/upper", "/run/node/etc/work"),
        _overlay("/var", "/run/node/disk/var", "/run/node/disk/work"),
        "mkdir -p /var/log " + " ".join(_OWN.values()),
        *(f"mount --bind /run/node/disk/{name} {path}" for name, path in _OWN.items()),
        "mount --bind /run/node/log /var/log",
        "mkdir -p /var/log/pods /var/log/containers",
        "umount -R -l /run/node",
        "mount --make-rshared /var/lib/kubelet",
    ]
    return "\n".join(f"  {line}" for line in lines)


def _overlay(path: str, upper: str, work: str) -> str:
    return f"mount -t overlay -o lowerdir={path},upperdir={upper},workdir={work} overlay {path}"


def _q(path: object) -> str:
    return shlex.quote(str(path))
