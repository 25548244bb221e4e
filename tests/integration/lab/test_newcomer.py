"""A newcomer's first minutes: a fresh Debian, ``make lab``, the first lesson done, nothing left of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from images import cache, debian
from limani.cluster.native import cgroups
from limani.cluster.native.processes import kill_all
from limani.lab.place.daemon import OwnDocker

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[3]
PACKAGES = ("ca-certificates", "make")
LIMIT_S = 300
HOST_FILES = ("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")
"""How this machine reaches the mirrors of Debian and Python."""
ENTER = """
cd "$1"
mount --bind . .
cd "$1"
for folder in proc sys dev; do mount --rbind /$folder $folder; done
mount -t tmpfs run run
mkdir -p old
pivot_root . old
umount -l /old
exec chroot / sh -euxc "$2"
"""
STORY = """
cd /root/limani
make lab-bundle
unshare --net sh -euxc '
    ip link set lo up
    make lab
    limani=$PWD/.venv/bin/limani
    if $limani lab check; then exit 1; fi
    $limani lab solve
    $limani lab check
    $limani lab down
    ip -brief link
'
find /root/.local /var/lib/limani /run/limani /run/docker /run/containerd -type f -o -type s 2>/dev/null || true
"""
"""With the network only what is installed and built; the lesson itself has none."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Path]:
    """The root of a fresh Debian with a copy of the repository in it, on a real disk."""
    if os.geteuid() or shutil.which("mmdebstrap") is None:
        pytest.skip("needs root and mmdebstrap")
    tar = cache.folder() / f"newcomer-{cache.key(debian.DEFAULT_SUITE.name, *PACKAGES)}.tar"
    if not cache.found(tar):
        debian.extract(debian.DEFAULT_SUITE, PACKAGES, tar, variant="minbase")
    root = tmp_path / "root"
    with tarfile.open(tar) as archive:
        archive.extractall(root, filter="fully_trusted")
    for name in HOST_FILES:
        if (Path("/") / name).exists():
            shutil.copyfile(Path("/") / name, root / name)
    copy = root / "root/limani"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name, follow_symlinks=False)
    yield root
    lab = root / "root/.local/state/limani/lab/id"
    if lab.exists():  # the story broke off
        own = OwnDocker(lab.read_text())
        kill_all(lambda: cgroups.processes(own.name))
        cgroups.remove(own.name)
    shutil.rmtree(root)


def test_first_lesson_within_five_minutes(machine: Path) -> None:
    """On a Debian with nothing but make, the first lesson is solved within five minutes of the first command.

    It is not solved before, runs without a network, and leaves no file, no link and no process.
    """
    passed = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or k.lower().endswith("_proxy")}
    environment = {**passed, "HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    begun = time.monotonic()
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "slave", "sh", "-euc", ENTER, "sh", str(machine), STORY],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    took = time.monotonic() - begun
    assert done.returncode == 0, done.stdout[-5000:]
    assert "First success: all 4 checks pass." in done.stdout
    assert "lab shell" in done.stdout  # what to type next
    left = done.stdout.rpartition("ip -brief link\n")[2].splitlines()
    assert [line.split()[0] for line in left if not line.startswith("+")] == ["lo", "/run/limani/lock"]
    lab = re.findall(r"/run/limani/docker\.([0-9a-f]{8})/", done.stdout)
    assert lab
    assert not cgroups.processes(OwnDocker(lab[0]).name)
    print(f"a newcomer took {took:.0f} s")
    assert took < LIMIT_S
