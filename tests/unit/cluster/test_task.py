"""lab_cluster as the Ansible module calls it, on a backend that only remembers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from limani.cluster import backend as backends
from limani.cluster.backend import Facts, Progress
from limani.cluster.spec import Request
from limani.cluster.status import ClusterStatus, NodeStatus
from limani.cluster.task import differences, lab_cluster, lab_cluster_info, request_from
from limani.errors import BadInput, ClusterExists, ClusterUnknown


class FakeBackend:
    """Clusters in memory; ``calls`` has what changed something."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        self.broken: set[str] = set()
        self.calls: list[str] = []

    def create(
        self, request: Request, *, progress: Progress, keep: bool = False, timeout_s: float = 0
    ) -> ClusterStatus:
        self.calls.append(f"create {request.name}")
        self.requests[request.name] = request
        return self.status(request.name)

    def delete(self, name: str) -> bool:
        self.calls.append(f"delete {name}")
        return self.requests.pop(name, None) is not None

    def names(self) -> list[str]:
        return sorted(self.requests)

    def status(self, name: str) -> ClusterStatus:
        if name not in self.requests:
            raise ClusterUnknown(name)
        node = NodeStatus(
            name="n1",
            state="up",
            ready=name not in self.broken,
            address="10.89.0.11",
            pod_subnet="10.244.1.0/24",
            pid=1,
            netns="",
            link="",
            containerd_socket="",
            docker_socket="",
            processes=[],
        )
        return ClusterStatus(
            name=name,
            backend="native",
            state="degraded" if name in self.broken else "running",
            kubernetes_version="1.36.3",
            docker=False,
            server="https://10.89.0.1:6443",
            kubeconfig=str(self.kubeconfig(name)),
            bridge="lm0",
            node_subnet="10.89.0.0/24",
            pod_subnet="10.244.0.0/20",
            service_subnet="10.96.0.0/20",
            processes=[],
            nodes=[node],
        )

    def kubeconfig(self, name: str) -> Path:
        return Path(f"/state/{name}/kubeconfig")

    def load(self, name: str, archive: Path, nodes: Sequence[str] | None = None) -> None:
        self.calls.append(f"load {name}")

    def facts(self, name: str) -> Facts | None:
        return self.plan(self.requests[name]) if name in self.requests else None

    def plan(self, request: Request) -> Facts:
        return {
            "nodes": request.nodes,
            "kubernetes_version": request.kubernetes_version or "1.36.3",
            "docker": request.docker,
            "node_subnet": request.node_subnet or "10.89.0.0/24",
            "node_disks": request.node_disks,
        }

    def repairs(self, name: str) -> list[str]:
        return ["start process etcd"] if name in self.broken else []

    def repair(self, name: str, *, progress: Progress, timeout_s: float = 0) -> list[str]:
        steps = self.repairs(name)
        self.calls.append(f"repair {name}")
        self.broken.discard(name)
        return steps


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """The backend every call gets; clusters of other programs on this machine are left out."""
    made = FakeBackend()
    monkeypatch.setattr("limani.cluster.hosted.task.clusters", lambda _: [])
    monkeypatch.setattr(backends, "get", lambda _: made)
    return made


def call(check: bool = False, **params: Any) -> dict[str, Any]:
    """lab_cluster with parameters as Ansible hands them over."""
    return lab_cluster(params, check=check, progress=lambda _: None)


def test_check_mode_predicts_and_touches_nothing(fake: FakeBackend) -> None:
    """Check mode before each step says what the step then does, and calls nothing that changes."""
    predicted = call(check=True, name="lab")
    assert predicted["changed"]
    assert fake.calls == []
    made = call(name="lab")
    assert made["diff"] == predicted["diff"]
    assert fake.calls == ["create lab"]
    assert call(check=True, name="lab", state="absent")["changed"]
    assert fake.calls == ["create lab"]
    assert call(name="lab", state="absent")["diff"] == call(check=True, name="x")["diff"] | {
        "before": made["diff"]["after"],
        "after": {},
    }


def test_the_result_has_what_the_module_documents(fake: FakeBackend) -> None:
    """Names and kinds of the result are those of the module's RETURN."""
    result = call(name="lab")
    assert result["name"] == "lab"
    assert result["state"] == "present"
    assert result["backend"] == "native"
    assert result["kubeconfig"] == "/state/lab/kubeconfig"
    assert result["context"] == "limani-lab"
    assert result["kubernetes_version"] == "1.36.3"
    assert result["nodes"] == [{"name": "n1", "address": "10.89.0.11", "state": "Ready"}]
    assert isinstance(result["seconds"], float)
    absent = call(name="lab", state="absent")
    assert (absent["kubeconfig"], absent["context"], absent["nodes"], absent["cluster"]) == ("", "", [], {})


def test_a_second_run_changes_nothing(fake: FakeBackend) -> None:
    """Present twice and absent twice: the second time nothing is done."""
    call(name="lab")
    again = call(name="lab")
    assert not again["changed"]
    assert again["diff"]["before"] == again["diff"]["after"]
    assert fake.calls == ["create lab"]
    assert call(name="lab", state="absent")["changed"]
    assert not call(name="lab", state="absent")["changed"]


def test_a_broken_cluster_is_repaired(fake: FakeBackend) -> None:
    """A cluster that is degraded is repaired, which check mode predicts."""
    call(name="lab")
    fake.broken.add("lab")
    predicted = call(check=True, name="lab")
    assert predicted["changed"]
    assert predicted["diff"]["before"]["state"] == "degraded"
    assert "repair lab" not in fake.calls
    done = call(name="lab")
    assert done["changed"]
    assert done["diff"] == predicted["diff"]
    assert not call(name="lab")["changed"]


def test_a_different_cluster_is_refused_by_what_differs(fake: FakeBackend) -> None:
    """What differs is named, in check mode too, and nothing is changed."""
    call(name="lab", nodes=3)
    for check in (True, False):
        with pytest.raises(ClusterExists, match="nodes is 3 and not 2, docker is False and not True") as caught:
            call(check=check, name="lab", nodes=2, docker=True)
        assert set(caught.value.fields["differences"]) == {"nodes", "docker"}
    assert fake.calls == ["create lab"]


def test_what_is_left_open_does_not_differ() -> None:
    """Parameters that were not given match whatever was chosen; a v before the version does not matter."""
    facts = {"nodes": 3, "kubernetes_version": "1.36.3", "node_subnet": "10.89.7.0/24", "docker": False}
    assert differences(Request(), facts) == {}
    assert differences(Request(kubernetes_version="v1.36.3"), facts) == {}
    assert differences(Request(kubernetes_version="1.35.0"), facts) == {
        "kubernetes_version": {"found": "1.36.3", "wanted": "1.35.0"}
    }


def test_parameters_as_ansible_hands_them_over() -> None:
    """None means left out; sizes of disks are texts."""
    request = request_from(
        {
            "name": "lab",
            "nodes": 2,
            "kubernetes_version": None,
            "docker": False,
            "node_disks": {"*": "20G", "n2": "300M"},
        }
    )
    assert request == Request(name="lab", nodes=2, node_disks={"*": 20 << 30, "n2": 300 << 20})


@pytest.mark.parametrize(
    "params", [{"nodes": 0}, {"state": "broken"}, {"name": "../x"}, {"node_disks": {"n1": "much"}}, {"api_port": 99999}]
)
def test_bad_parameters_are_refused(fake: FakeBackend, params: dict[str, Any]) -> None:
    """Bad values are refused before anything happens."""
    with pytest.raises(BadInput):
        call(**params)
    assert fake.calls == []


def test_info_lists_all_or_one(fake: FakeBackend) -> None:
    """Info is sorted by name and can be limited to one; an unknown name gives an empty list."""
    call(name="b")
    call(name="a")
    assert [found["name"] for found in lab_cluster_info({"name": None})["clusters"]] == ["a", "b"]
    assert [found["name"] for found in lab_cluster_info({"name": "b"})["clusters"]] == ["b"]
    assert lab_cluster_info({"name": "c"}) == {"clusters": []}


def test_unknown_backends_are_refused() -> None:
    """A backend that does not exist is refused by name."""
    with pytest.raises(BadInput, match="vagrant"):
        lab_cluster({"backend": "vagrant"}, check=True, progress=print)
