"""Native clusters without root: what is refused, and what is chosen."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from limani.cluster import backend as backends
from limani.cluster import subnets
from limani.cluster.native import backend, network
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.native.look import host_pids
from limani.cluster.native.repair import request_of
from limani.cluster.spec import Request
from limani.errors import ClusterUnknown, HostUnsuitable
from tests.unit.cluster.test_spec import a_spec


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An idle machine with no clusters."""
    monkeypatch.setenv("LIMANI_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(subnets, "routed", list)
    monkeypatch.setattr(network, "links", lambda: {"lo", "eth0"})
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return tmp_path


def record(state: Path, name: str, **changes: object) -> None:
    """A cluster that exists on paper."""
    (state / name).mkdir()
    (state / name / "spec.json").write_bytes(msgspec.json.encode(a_spec(name=name, **changes)))


def test_without_root_the_alternatives_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Create, delete and check mode say sudo, kind and minikube before anything happens."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    native = backends.get("native")
    for attempt in (
        lambda: native.create(Request(), progress=print),
        lambda: native.delete("lab"),
        lambda: native.plan(Request()),
    ):
        with pytest.raises(HostUnsuitable) as caught:
            attempt()
        assert all(word in caught.value.hint for word in ("sudo", "kind", "minikube"))


def test_a_second_cluster_gets_the_next_of_everything(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks and names of links of clusters that exist, running or not, are not used again."""
    first = backend.plan(Request(name="a"), Path("/b"), "1.36.3")
    assert (first.index, first.node_subnet, first.pod_subnet) == (0, "10.89.0.0/24", "10.244.0.0/20")
    record(state, "a")
    monkeypatch.setattr(network, "links", lambda: {"lo", "lm1"})
    second = backend.plan(Request(name="b"), Path("/b"), "1.36.3")
    assert (second.index, second.node_subnet) == (2, "10.89.1.0/24")
    assert (second.pod_subnet, second.service_subnet) == ("10.244.16.0/20", "10.96.16.0/20")
    assert not (state / "b").exists()


def test_a_damaged_record_stands_in_nobodys_way(state: Path) -> None:
    """A spec that cannot be read is named when it is asked for, and others can be made beside it."""
    (state / "bad").mkdir()
    (state / "bad" / "spec.json").write_text("{")
    with pytest.raises(ClusterUnknown, match=r"spec\.json") as caught:
        NativeCluster.open("bad")
    assert "delete bad" in caught.value.hint
    assert backend.plan(Request(name="good"), Path("/b"), "1.36.3").index == 0


def test_docker_needs_a_dockerd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With --docker and no dockerd the package is named; one among the binaries is taken first."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(HostUnsuitable) as caught:
        backend.plan(Request(docker=True), tmp_path, "1.36.3")
    assert "docker.io" in caught.value.hint
    monkeypatch.undo()
    monkeypatch.setattr(subnets, "routed", list)
    monkeypatch.setattr(network, "links", lambda: {"lo"})
    (tmp_path / "dockerd").write_text("#!/bin/sh\n")
    (tmp_path / "dockerd").chmod(0o755)
    assert backend.plan(Request(docker=True), tmp_path, "1.36.3").dockerd == str(tmp_path / "dockerd")


def test_a_recorded_spec_leads_to_the_same_cluster(tmp_path: Path) -> None:
    """After a reboot the cluster is asked for again with everything that was settled."""
    spec = a_spec(node_disks={"n1": 1 << 30}, binaries=str(tmp_path / "gone"), api_port=7443)
    request = request_of(spec)
    assert request.binaries is None
    again = backend.plan(request, Path(spec.binaries), spec.kubernetes_version)
    assert again == spec


def test_pids_of_other_namespaces_are_told_apart() -> None:
    """Processes of this namespace, or two below, are not a node's own."""
    assert host_pids([1, 999_999_999]) == {}
