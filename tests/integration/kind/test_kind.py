"""kind as the lab: what the documentation says of it, seen on a real cluster. The tests run in this order."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from limani.cluster.hosted import record
from limani.cluster.hosted.options import HostedRequest
from limani.cluster.kind.backend import KindBackend
from limani.errors import ClusterExists, SomeNodesFailed
from limani.seed import run as seed_run
from limani.seed.task import node_image
from tests.integration.kind.conftest import NAME, NODES, Play, Played
from tests.integration.seed.conftest import MB, Trigger
from tests.support.images import make_archive
from tests.support.pods import run_pod

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
WORKERS = NODES[1:]
Docker = Callable[..., str]


def test_lab_playbook_makes_three_ready_nodes(made: Played) -> None:
    """lab.yml with lab_backend=kind makes a control plane and two workers, all Ready."""
    result = made.last
    assert result["changed"]
    assert [(node["name"], node["state"]) for node in result["nodes"]] == [(name, "Ready") for name in NODES]
    assert result["context"] == f"kind-{NAME}"


def test_second_run_changes_nothing(made: Played, play: Play) -> None:
    """The same playbook again finds everything as asked, with and without check mode."""
    for options in ((), ("--check",)):
        again = play("lab.yml", *options, lab_backend="kind", lab_name=NAME, lab_nodes=3)
        assert again.code == 0, again.stdout
        assert not again.last["changed"]


def test_difference_is_named(made: Played, play: Play) -> None:
    """Asking for other nodes fails, says in what the cluster differs, and changes nothing."""
    refused = play("lab.yml", lab_backend="kind", lab_name=NAME, lab_nodes=2)
    assert refused.code != 0
    assert refused.last["error"]["code"] == "cluster_exists"
    assert refused.last["error"]["fields"]["differences"] == {"nodes": {"found": 3, "wanted": 2}}
    assert len(KindBackend().status(NAME).nodes) == 3


def test_seed_playbook_and_a_pod_on_each_worker(agents: Played, play: Play, kubeconfig: str, tmp_path: Path) -> None:
    """seed-images.yml puts an image onto every node without a registry; pods run from it on each worker."""
    archive = tmp_path / "image.tar"
    make_archive(archive, "limani.dev/test/kind-seed:1", [("kind-seed", 8 * MB)])
    images = [{"archive": str(archive)}]
    seeded = play("seed-images.yml", kubeconfig=kubeconfig, images=images)
    assert seeded.code == 0, seeded.stdout[-6000:]
    assert {name: node["state"] for name, node in seeded.last["nodes"].items()} == dict.fromkeys(NODES, "present")
    for node in WORKERS:
        assert run_pod(kubeconfig, node, "limani.dev/test/kind-seed:1", ["sh", "-c", "echo hello"]) == "hello\n"
    again = play("seed-images.yml", kubeconfig=kubeconfig, images=images)
    assert again.code == 0
    assert not again.last["changed"]


def test_node_paused_while_it_is_seeded(
    agents: Played, docker: Docker, kubeconfig: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node paused in the middle fails alone with its name and reason; the next run goes on where it stood."""
    monkeypatch.setattr(seed_run, "PATIENCE_S", 5.0)
    archive = tmp_path / "image.tar"
    make_archive(archive, "limani.dev/test/kind-pause:1", [("kind-pause", 48 * MB)])
    paused = WORKERS[1]
    params = {"kubeconfig": kubeconfig, "images": [{"archive": str(archive)}], "nodes": list(WORKERS), "timeout": 100}
    trigger = Trigger(lambda: docker("pause", paused), 0.4, paused)
    try:
        with pytest.raises(SomeNodesFailed) as caught:
            node_image({**params, "rate": 8 * MB}, check=False, progress=print, on_bytes=trigger)
        trigger.done()
    finally:
        assert KindBackend().start(NAME, paused)
    nodes = caught.value.fields["nodes"]
    assert nodes[paused]["failed"]
    assert nodes[paused]["error"]["code"] in ("agent_unreachable", "timed_out")
    assert not nodes[WORKERS[0]]["failed"], nodes
    rollout = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", "limani-system", "rollout", "status")
    docker("exec", NODES[0], *rollout, "ds/limani-agent", "--timeout=60s")
    resumed = node_image(params, check=False, progress=print)
    assert not resumed["nodes"][paused]["failed"]
    assert resumed["nodes"][paused]["bytes"] < 48 * MB
    assert run_pod(kubeconfig, paused, "limani.dev/test/kind-pause:1", ["sh", "-c", "echo resumed"]) == "resumed\n"


def test_node_stops_and_starts(made: Played) -> None:
    """A stopped node is down and not Ready; started again it is Ready, with the address it may newly have."""
    backend = KindBackend()
    assert backend.stop(NAME, NODES[2])
    assert not backend.stop(NAME, NODES[2])
    stopped = next(node for node in backend.status(NAME).nodes if node.name == NODES[2])
    assert stopped.state == "down"
    assert backend.start(NAME, NODES[2])
    assert not backend.start(NAME, NODES[2])
    assert backend.status(NAME).state == "running"


def test_foreign_cluster_is_left_alone_until_adopted(made: Played, docker: Docker) -> None:
    """Without Limani's record nothing of a cluster is changed; adopting it makes it Limani's."""
    backend = KindBackend()
    before = record.load("kind", NAME)
    assert before
    try:
        record.forget("kind", NAME)
        with pytest.raises(ClusterExists, match="not made by Limani"):
            backend.delete(NAME)
        with pytest.raises(ClusterExists, match="not made by Limani"):
            backend.stop(NAME)
        assert {node.state for node in backend.status(NAME).nodes} == {"up"}
        backend.adopt(HostedRequest(name=NAME, adopt=True))
        adopted = record.load("kind", NAME)
        assert adopted
        assert adopted.adopted
        assert backend.kubeconfig(NAME).exists()
    finally:
        record.save(NAME, before)


def test_deleting_leaves_nothing(made: Played, play: Play, docker: Docker) -> None:
    """lab_state=absent removes the nodes, their volumes and what Limani kept; again it changes nothing."""
    gone = play("lab.yml", lab_backend="kind", lab_name=NAME, lab_state="absent")
    assert gone.code == 0, gone.stdout
    assert gone.last["changed"]
    assert NAME not in docker("ps", "--all", "--format", "{{.Names}}")
    assert docker("volume", "ls", "--quiet") == ""
    assert not record.folder("kind", NAME).exists()
    again = play("lab.yml", lab_backend="kind", lab_name=NAME, lab_state="absent")
    assert again.code == 0
    assert not again.last["changed"]
    assert os.environ["DOCKER_HOST"]
