"""Reading cgroup hierarchies, and the v2 rules on a folder that looks like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from limani.cluster.native import cgroups
from limani.errors import HostUnsuitable

HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,xattr,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
cgroup /somewhere/else cgroup rw,memory 0 0
"""
UNIFIED = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot 0 0\n"


def test_a_hybrid_host() -> None:
    """Each v1 hierarchy has the options that mount it again; the controller-less v2 one is one more."""
    found = {item.path.name: item for item in cgroups.hierarchies(HYBRID)}
    assert found["cpu,cpuacct"].options == "cpu,cpuacct"
    assert found["memory"].options == "memory"
    assert found["systemd"].options == "none,xattr,name=systemd"
    assert (found["unified"].version, found["unified"].unified_only) == (2, False)
    assert "else" not in found


def test_a_v2_host() -> None:
    """One hierarchy, in charge of everything."""
    (only,) = cgroups.hierarchies(UNIFIED)
    assert (only.path, only.version, only.unified_only) == (Path("/sys/fs/cgroup"), 2, True)


def test_no_cgroups_at_all() -> None:
    """Without any the host is unsuitable."""
    with pytest.raises(HostUnsuitable):
        cgroups.hierarchies("proc /proc proc rw 0 0\n")


@pytest.fixture
def v2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of a v2 root."""
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [cgroups.Hierarchy(tmp_path, 2, "")])
    for folder in (tmp_path, tmp_path / "limani", tmp_path / "limani" / "lab"):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        (folder / "cgroup.subtree_control").write_text("")
    return tmp_path


def test_v2_hands_controllers_down(v2: Path) -> None:
    """Every ancestor of a part hands the kubelet's controllers on; the part itself does not yet."""
    (folder,) = cgroups.make("lab", "n1")
    assert folder == v2 / "limani" / "lab" / "n1"
    for parent in (v2, v2 / "limani", v2 / "limani" / "lab"):
        # A real cgroup adds to the list; a plain file holds the last word written.
        assert (parent / "cgroup.subtree_control").read_text() == "+io"
    assert not (folder / "cgroup.subtree_control").exists()


def test_v2_without_a_needed_controller_is_unsuitable(v2: Path) -> None:
    """A container that was not given all controllers is told which are missing."""
    (v2 / "cgroup.controllers").write_text("memory pids\n")
    assert cgroups.lacking_v2(v2) == ["cpuset", "cpu"]
    with pytest.raises(HostUnsuitable, match="cpuset, cpu"):
        cgroups.make("lab", "n1")


def test_processes_are_found_below_a_part(v2: Path) -> None:
    """PIDs of pods' cgroups count to their node; another cluster's do not."""
    pod = v2 / "limani" / "lab" / "n1" / "kubepods" / "pod1"
    other = v2 / "limani" / "lab2" / "n1"
    for folder, pids in ((pod, "11\n12\n"), (v2 / "limani" / "lab" / "control", "13\n"), (other, "14\n")):
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text(pids)
    assert cgroups.processes("lab") == {11, 12, 13}
    assert cgroups.processes("lab", "n1") == {11, 12}
    assert cgroups.processes("none") == set()
