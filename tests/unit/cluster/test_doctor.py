"""The doctor's checks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from limani.cluster import doctor


def test_every_command_has_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a bare machine every command is named with the package that has it; needed ones count as missing."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    checks = {check.name: check for check in doctor.examine()}
    assert checks["nft"].state == "missing"
    assert "apt-get install nftables" in checks["nft"].hint
    assert checks["dockerd"].state == "optional"
    assert "apt-get install docker.io" in checks["dockerd"].hint
    assert all(check.hint for check in checks.values() if check.state != "ok")


def test_root_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root the alternatives are named."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    root = next(check for check in doctor.examine() if check.name == "root")
    assert root.state == "missing"
    assert all(word in root.hint for word in ("sudo", "kind", "minikube"))


def test_state_on_overlayfs_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A state folder on overlayfs (a container's root) is missing with the variable that moves it."""
    monkeypatch.setenv("LIMANI_STATE_DIR", str(tmp_path / "not" / "yet"))
    monkeypatch.setattr(doctor, "file_system", lambda _: "overlay")
    check = next(check for check in doctor.examine() if check.name == "state folder")
    assert check.state == "missing"
    assert "LIMANI_STATE_DIR" in check.hint


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/var/lib/x", "xfs"), ("/var/library", "overlay"), ("/home", "overlay"), ("/data/a", "btrfs")],
)
def test_the_file_system_is_that_of_the_deepest_mount(path: str, kind: str) -> None:
    """The longest mount point that holds the path decides; of two on one path the later one."""
    mounts = (
        "overlay / overlay rw 0 0\n/dev/a /var/lib xfs rw 0 0\n/dev/b /data ext4 rw 0 0\n/dev/c /data btrfs rw 0 0\n"
    )
    assert doctor.file_system(Path(path), mounts) == kind
