"""The boot script of a node."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from limani.cluster.native.bootscript import Host, boot_script
from limani.cluster.native.cgroups import Hierarchy
from limani.cluster.native.layout import Layout
from limani.cluster.spec import Spec
from tests.unit.cluster.test_spec import a_spec

V1 = (
    Hierarchy(Path("/sys/fs/cgroup/memory"), 1, "memory"),
    Hierarchy(Path("/sys/fs/cgroup/systemd"), 1, "none,name=systemd"),
    Hierarchy(Path("/sys/fs/cgroup/unified"), 2, ""),
)
V2 = (Hierarchy(Path("/sys/fs/cgroup"), 2, ""),)
LAYOUT = Layout("lab", Path("/state/my lab"), Path("/run/limani/lab"))


def script(spec: Spec | None = None, hierarchies: tuple[Hierarchy, ...] = V1, name: str = "n1") -> str:
    """The boot script of a node."""
    spec = spec or a_spec()
    return boot_script(spec, LAYOUT, spec.node(name), Host("/usr/bin/python3", True, hierarchies))


@pytest.mark.parametrize("hierarchies", [V1, V2])
def test_the_boot_script_is_a_shell_script(hierarchies: tuple[Hierarchy, ...]) -> None:
    """sh accepts it, blanks in paths included."""
    done = subprocess.run(
        ["sh", "-n"], input=script(hierarchies=hierarchies), text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_v1_enters_and_mounts_every_hierarchy() -> None:
    """On v1 and hybrid hosts the node enters its cgroup in each hierarchy and mounts each again, names included."""
    text = script()
    for path in ("memory", "systemd", "unified"):
        assert f"echo $$ > /sys/fs/cgroup/{path}/limani/lab/n1/cgroup.procs" in text
    assert "mount -t cgroup -o memory cgroup /sys/fs/cgroup/memory" in text
    assert "mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd" in text
    assert "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified" in text
    assert "/init/cgroup.procs" not in text


def test_v2_steps_into_a_leaf() -> None:
    """On v2 hosts PID 1 sits in a leaf, so that the node's own cgroup can hand controllers to pods."""
    text = script(hierarchies=V2)
    assert "echo $$ > /sys/fs/cgroup/limani/lab/n1/init/cgroup.procs" in text
    assert "mount -t cgroup2 cgroup2 /sys/fs/cgroup\n" in text
    assert "tmpfs /sys/fs/cgroup" not in text


def test_a_limited_disk_is_mounted_before_it_is_used() -> None:
    """The disk's file system comes before what lies on it, and only where the size is limited."""
    spec = a_spec(node_disks={"n2": 300 << 20})
    text = script(spec, name="n2")
    assert text.index("mount -o loop '/state/my lab/nodes/n2/disk.img'") < text.index("mount --rbind")
    assert "disk.img" not in script(spec, name="n1")
