"""``limani lab doctor``: what it says of a machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from limani.cli.lab_doctor import doctor as command
from limani.errors import HostUnsuitable, SourceUnavailable
from limani.lab import bundle, doctor
from limani.lab.bundle import Bundle
from limani.lab.place import daemon


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Docker, images or any way to a cluster; the lab's home."""
    missing = HostUnsuitable("No Docker.", missing=["dockerd", "runc"])

    def refuse() -> None:
        raise missing

    def no_bundle() -> Bundle:
        raise SourceUnavailable("not here")

    monkeypatch.setenv("LIMANI_LAB_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(daemon, "check_machine", refuse)
    monkeypatch.setattr(bundle, "find", no_bundle)
    monkeypatch.setattr(bundle, "in_clone", lambda: False)
    monkeypatch.setattr(doctor, "answers", lambda host: False)
    lacking = doctor.native.Check(name="nft", state="missing", found="no")
    monkeypatch.setattr(doctor.native, "examine", lambda: [lacking])
    monkeypatch.setattr(doctor.programs, "find_kubectl", lambda: None)
    return tmp_path


def states(home: Path) -> dict[str, str]:
    """State by name of the check."""
    return {check.id: check.state for check in doctor.examine(home)}


def test_bare_machine(bare: Path) -> None:
    """Everything missing is named, with how to get it, in both languages, and the exit code is 1."""
    found = states(bare)
    assert {name for name, state in found.items() if state == "missing"} == {
        *("docker_command", "daemon", "images", "native")
    }
    for lang, word in (("en", "cannot"), ("el", "δεν μπορούν")):
        done = CliRunner().invoke(command, ["--lang", lang])
        assert done.exit_code == 1
        assert done.output.count(word) >= 2
        for name in ("docker.io", "dockerd, runc", "LIMANI_LAB_BUNDLE", "nft"):
            assert name in done.output
    answer = json.loads(CliRunner().invoke(command, ["-o", "json"]).output)
    assert (answer["docker"], answer["cluster"]) == (False, False)
    assert all(check["hint"] for check in answer["checks"] if check["state"] == "missing")


def test_a_daemon_that_answers_is_enough(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a Docker answers nothing else is needed to run one; DOCKER_HOST that is silent is an obstacle."""
    monkeypatch.setattr(doctor, "answers", lambda host: host == "unix:///var/run/docker.sock")
    assert states(bare)["daemon"] == "ok"
    monkeypatch.setenv("DOCKER_HOST", "unix:///gone.sock")
    check = next(check for check in doctor.examine(bare) if check.id == "daemon")
    assert (check.state, check.found.values["host"]) == ("missing", "unix:///gone.sock")


def test_one_way_to_a_cluster_is_enough(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kind or minikube stand in for a native cluster that cannot be made."""
    assert not doctor.can_run(doctor.examine(bare), "cluster")
    folder = bare / "bin"
    folder.mkdir()
    (folder / "kind").write_text("#!/bin/sh\n")
    (folder / "kind").chmod(0o755)
    found = states(bare)
    assert (found["native"], found["hosted"]) == ("optional", "ok")
    assert not doctor.can_run(doctor.examine(bare), "cluster")  # the images are still missing
