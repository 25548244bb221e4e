"""The modules on a real cluster: both shells, and results that are what the documentation says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from images.agent.build import build
from limani.cluster.native.cluster import NativeCluster
from tests.support.images import make_archive
from tests.support.plays import Ran, link_collection, run_play
from tests.unit.plugins.documented import block, breaches

pytestmark = pytest.mark.integration

Run = Callable[..., Ran]
NAME = "limani.dev/test/modules:1"
CHANGES = {"changed": {"returned": "always", "type": "bool"}, "diff": {"returned": "always", "type": "dict"}}
READS = {"changed": CHANGES["changed"]}
FAILS = {"msg": {"returned": "always", "type": "str"}, **CHANGES}


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository as a collection, for Ansible and for this process."""
    path = link_collection(tmp_path_factory.mktemp("collections"))
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))


@pytest.fixture(scope="module")
def kubeconfig(lab: NativeCluster, collections: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cluster with agents on all nodes, installed by the module itself."""
    folder = tmp_path_factory.mktemp("install")
    args = {"kubeconfig": str(lab.kubeconfig), "archive": str(build())}
    ran = run_play([{"limani.nodes.node_agent": args}], folder=folder, collections=collections)
    assert ran.code == 0, ran.stdout + ran.stderr
    assert promised("node_agent", ran.last, CHANGES) == []
    return str(lab.kubeconfig)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with one small image nobody has."""
    path = tmp_path_factory.mktemp("archive") / "image.tar"
    make_archive(path, NAME, [("modules", 3_000_000)])
    return path


@pytest.fixture
def run(kubeconfig: str, collections: Path, tmp_path: Path) -> Run:
    """Run one module on the cluster."""

    def call(module: str, *options: str, connection: str = "local", **args: Any) -> Ran:
        task = {f"limani.nodes.{module}": {"kubeconfig": kubeconfig} | args}
        return run_play([task], *options, folder=tmp_path, collections=collections, connection=connection)

    return call


def promised(module: str, result: dict[str, Any], more: dict[str, Any], when: str = "success") -> list[str]:
    """How a result differs from RETURN; what Ansible adds by itself is left out."""
    own = {key: value for key, value in result.items() if key not in ("invocation", "exception", "warnings")}
    own = {key: value for key, value in own.items() if not key.startswith("_ansible")}
    return list(breaches(block(module, "RETURN") | more, own, always=when))


@pytest.mark.parametrize("connection", ["local", "loopback"])
def test_seeding_and_removing_give_what_is_documented(run: Run, archive: Path, connection: str):
    """check, seed, seed again, remove: every result has the keys and types of RETURN; both shells do the same."""
    images = [{"archive": str(archive)}]
    check = run("k8s_node_image", "--check", "--diff", images=images, connection=connection)
    first = run("k8s_node_image", images=images, connection=connection)
    again = run("k8s_node_image", images=images, connection=connection)
    gone = run("k8s_node_image", images=[NAME], state="absent", connection=connection)
    for ran in (check, first, again, gone):
        assert ran.code == 0, ran.stdout + ran.stderr
        assert promised("k8s_node_image", ran.last, CHANGES) == []
    assert [ran.last["changed"] for ran in (check, first, again, gone)] == [True, True, False, True]
    assert check.last["diff"] == first.last["diff"]
    for name, node in first.last["nodes"].items():
        assert node["bytes"] == check.last["nodes"][name]["predicted"]["bytes"] > 3_000_000


@pytest.mark.parametrize("connection", ["local", "loopback"])
def test_the_info_modules_give_what_is_documented(run: Run, connection: str):
    """Results of the _info modules have the keys and types of RETURN, through both shells."""
    for module in ("k8s_node_image_info", "node_agent_info"):
        ran = run(module, connection=connection)
        assert ran.code == 0, ran.stdout + ran.stderr
        assert promised(module, ran.last, READS) == []
        assert len(ran.last["nodes"]) == 3
    clusters = run("lab_cluster_info", connection=connection, kubeconfig=None)
    assert clusters.code != 0, "an option the module does not have was accepted"


def test_the_list_of_clusters_is_what_is_documented(lab: NativeCluster, collections: Path, tmp_path: Path):
    """lab_cluster_info and lab_cluster tell of the cluster that runs, and change nothing."""
    name = lab.spec.name
    tasks = [{"limani.nodes.lab_cluster_info": {"name": name}}, {"limani.nodes.lab_cluster": {"name": name}}]
    ran = run_play(tasks, folder=tmp_path, collections=collections)
    assert ran.code == 0, ran.stdout + ran.stderr
    info, cluster = ran.results
    assert promised("lab_cluster_info", info, READS) == []
    assert promised("lab_cluster", cluster, CHANGES) == []
    assert cluster["changed"] is False
    assert info["clusters"][0]["kubeconfig"] == cluster["kubeconfig"] == str(lab.kubeconfig)


def test_a_failed_node_keeps_the_promise(run: Run, archive: Path, lab: NativeCluster):
    """With one node down the task fails, names it, and has what the other nodes did where a success has it."""
    lab.stop_node("n3")
    try:
        failed = run("k8s_node_image", images=[{"archive": str(archive)}], timeout=60)
        enough = run("k8s_node_image", images=[{"archive": str(archive)}], timeout=60, min_success=2)
    finally:
        lab.start_node("n3")
    assert failed.code != 0
    assert promised("k8s_node_image", failed.last, FAILS, "on failure") == []
    assert failed.last["error"]["code"] == "nodes_failed"
    assert failed.last["nodes"]["n3"]["failed"]
    assert "n3" in failed.last["msg"]
    assert [failed.last["nodes"][name]["state"] for name in ("n1", "n2")] == ["present", "present"]
    assert enough.code == 0, enough.stdout
    assert enough.last["summary"]["failed"] == 1
    assert not enough.last["changed"]


def test_progress_lines_appear_while_it_runs_and_leave_standard_output_alone(
    run: Run, tmp_path: Path, lab, kubeconfig, collections
):
    """A transfer that takes seconds says so on standard error, and standard output is still one JSON document."""
    path = tmp_path / "slow.tar"
    make_archive(path, "limani.dev/test/slow:1", [("slow", 5_000_000)])
    args = {"kubeconfig": kubeconfig, "images": [{"archive": str(path)}], "rate": "1M", "nodes": ["n1"]}
    gone = {"kubeconfig": kubeconfig, "images": ["limani.dev/test/slow:1"], "state": "absent"}
    tasks = [{"limani.nodes.k8s_node_image": args}, {"limani.nodes.k8s_node_image": gone}]
    ran = run_play(tasks, folder=tmp_path, collections=collections, environment={"LIMANI_PROGRESS": "on"})
    assert ran.code == 0, ran.stdout + ran.stderr
    assert len(json.loads(ran.stdout)) == 2
    assert any("n1" in line and "%" in line for line in ran.stderr.splitlines()), ran.stderr
