"""Settings of the machine are put back when the last cluster goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from limani.cluster.native import settings

BEFORE = {"net/ipv4/ip_forward": "0", "vm/overcommit_memory": "0", "kernel/panic": "0"}


@pytest.fixture
def sysctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc/sys of the test's own, on a machine without bridges."""
    folder = tmp_path / "sys"
    for name, value in {**BEFORE, "kernel/random/boot_id": "this-boot", "net/bridge/x": "1"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(value)
    monkeypatch.setattr(settings, "_SYSCTL", folder)
    monkeypatch.setattr(settings, "_bridges", lambda: False)
    monkeypatch.setenv("LIMANI_STATE_DIR", str(tmp_path / "state"))
    return folder


def values(sysctl: Path) -> dict[str, str]:
    """The settings now."""
    return {name: (sysctl / name).read_text() for name in BEFORE}


def test_what_was_before_the_first_cluster_comes_back(sysctl: Path) -> None:
    """The record of the first cluster counts, not what the second found."""
    settings.prepare()
    assert values(sysctl)["net/ipv4/ip_forward"] == "1"
    (sysctl / "kernel/panic").write_text("10")
    settings.prepare()
    settings.restore()
    assert values(sysctl) == BEFORE
    settings.restore()


def test_forwarding_stays_where_somebody_else_needs_it(sysctl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another bridge on the machine (Docker's) forwarding is left on."""
    settings.prepare()
    monkeypatch.setattr(settings, "_bridges", lambda: True)
    settings.restore()
    assert values(sysctl)["net/ipv4/ip_forward"] == "1"


def test_after_a_reboot_nothing_is_put_back(sysctl: Path) -> None:
    """Settings of an earlier boot say nothing about this one."""
    settings.prepare()
    (sysctl / "kernel/random/boot_id").write_text("next-boot")
    settings.restore()
    assert values(sysctl)["net/ipv4/ip_forward"] == "1"
    assert not list((sysctl.parent / "state").glob(".machine*"))
