"""Creating, repairing and deleting clusters; nothing may be left of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limani.cluster import backend
from limani.cluster.command import run
from limani.cluster.native import backend as native_backend
from limani.cluster.native import cgroups, steps
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.native.layout import Layout
from limani.cluster.native.lock import cluster_lock
from limani.cluster.native.processes import kill_all
from limani.cluster.spec import Request, Spec
from limani.cluster.task import lab_cluster
from limani.errors import ClusterExists, CommandFailed, LimaniError
from tests.integration.cluster.conftest import Kubectl, until

pytestmark = pytest.mark.integration

PREFIX = f"t{os.getpid()}-"


def traces(spec: Spec) -> dict[str, list[str]]:
    """Everything on this machine that belongs to a cluster."""
    name, index = spec.name, spec.index
    routes, subnets = run(["ip", "route"]).splitlines(), (spec.node_subnet, spec.pod_subnet, spec.service_subnet)
    links = [link["ifname"] for link in json.loads(run(["ip", "-j", "link"]))]
    networks = Path("/run/netns").iterdir() if Path("/run/netns").exists() else []
    mounts = Path("/proc/mounts").read_text().splitlines()
    folders = [h.path / cgroups.BASE / name for h in cgroups.hierarchies()]
    layout = Layout.of(name)
    files = (layout.state, layout.run, Path(f"/run/limani/{name}.lock"))
    commands = [path for path in Path("/proc").glob("[0-9]*/cmdline") if f"/{name}/" in _text(path)]
    return {
        "links": [link for link in links if link == f"lm{index}" or link.startswith(f"lm{index}n")],
        "netns": [item.name for item in networks if item.name.startswith(f"lm{index}-")],
        "mounts": [line for line in mounts if f"/{name}/" in line or f"lm{index}-" in line],
        "cgroups": [str(folder) for folder in folders if folder.exists()],
        "tables": [line for line in run(["nft", "list", "tables"]).splitlines() if line.endswith(f"limani-{name}")],
        "routes": [line for line in routes if any(word in line for word in (f"dev lm{index} ", *subnets))],
        "files": [str(file) for file in files if file.exists()],
        "processes": [str(path) for path in commands if path.parent.name != str(os.getpid())],
    }


def _text(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


NOTHING: dict[str, list[str]] = {
    kind: [] for kind in ("links", "netns", "mounts", "cgroups", "tables", "routes", "files", "processes")
}


@pytest.fixture
def clean() -> Iterator[Callable[[str], str]]:
    """Names of clusters that the test makes itself; they are deleted at its end."""
    names: list[str] = []

    def name(suffix: str) -> str:
        names.append(PREFIX + suffix)
        return names[-1]

    yield name
    for each in names:
        native_backend.delete(each)


def test_two_clusters_side_by_side_and_nothing_left(
    make_cluster: Callable[..., NativeCluster], busybox: Path, tmp_path: Path
) -> None:
    """Two clusters made at once do not touch each other; deleting one leaves nothing of it and the other whole."""
    made: dict[str, NativeCluster] = {}

    def make(suffix: str) -> None:
        made[suffix] = make_cluster(suffix, nodes=1)

    threads = [threading.Thread(target=make, args=(suffix,)) for suffix in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left, right = made["left"], made["right"]
    for field in ("index", "node_subnet", "pod_subnet", "service_subnet"):
        assert getattr(left.spec, field) != getattr(right.spec, field)
    for cluster in (left, right):
        cluster.load(busybox)
        kubectl = Kubectl(cluster)
        pod = kubectl.run_pods("still", "exec sleep 1000000")[0]
        until(
            lambda kubectl=kubectl, pod=pod: kubectl("exec", pod["metadata"]["name"], "--", "hostname"), 20, "pod runs"
        )
    assert all(traces(left.spec)[kind] for kind in NOTHING if kind != "mounts")

    assert native_backend.delete(left.spec.name)

    assert traces(left.spec) == NOTHING
    assert backend.get("native").status(right.spec.name).state == "running"
    assert not native_backend.delete(left.spec.name), "deleting twice is fine and does nothing"


def test_an_existing_name_is_refused(lab: NativeCluster) -> None:
    """A second cluster of the same name is refused before anything happens."""
    with pytest.raises(ClusterExists):
        backend.get("native").create(Request(name=lab.spec.name), progress=print)


@pytest.mark.parametrize("number", range(1, len(steps.STEPS) + 1))
def test_delete_after_create_was_killed(clean: Callable[[str], str], number: int) -> None:
    """kill -9 of ``create`` right after each of its steps: ``delete`` leaves nothing."""
    name = clean(f"killed{number}")
    script = f"""
import os, signal
from limani.cluster import backend
from limani.cluster.native import steps
from limani.cluster.spec import Request, Spec
last = steps.STEPS[{number} - 1]
def die(context):
    last.run(context)
    os.kill(os.getpid(), signal.SIGKILL)
steps.STEPS = (*steps.STEPS[:{number} - 1], steps.Step(last.name, die))
backend.get("native").create(Request(name={name!r}, nodes=1), progress=print)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    spec = NativeCluster.open(name).spec
    assert native_backend.delete(name)
    assert traces(spec) == NOTHING


def test_a_failed_create_says_why_and_leaves_nothing(
    clean: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a step fails its error is raised with the logs, and nothing is left."""
    name = clean("fails")
    seen: list[Spec] = []

    def fail(context: steps.Context) -> None:
        seen.append(context.cluster.spec)
        context.cluster.exec("n1", ["false"])

    monkeypatch.setattr(steps, "STEPS", (*steps.STEPS[:4], steps.Step("Fail", fail)))
    with pytest.raises(CommandFailed) as caught:
        backend.get("native").create(Request(name=name, nodes=1), progress=print)
    assert any("kube-apiserver" in log for log in caught.value.fields["logs"])
    assert traces(seen[0]) == NOTHING


def test_keep_leaves_a_failed_cluster(clean: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``keep`` what there is stays for a look, and ``delete`` removes it."""
    name = clean("kept")

    def fail(context: steps.Context) -> None:
        raise LimaniError("on purpose")

    monkeypatch.setattr(steps, "STEPS", (*steps.STEPS[:3], steps.Step("Fail", fail)))
    with pytest.raises(LimaniError, match="on purpose"):
        backend.get("native").create(Request(name=name, nodes=1), progress=print, keep=True)
    cluster = NativeCluster.open(name)
    assert cluster.control.answers()
    assert native_backend.delete(name)
    assert traces(cluster.spec) == NOTHING


def test_as_after_a_reboot(clean: Callable[[str], str]) -> None:
    """With all processes, links and cgroups gone but the state left, status says stopped; present makes it again."""
    name = clean("reboot")
    params: dict[str, Any] = {"name": name, "nodes": 1}
    first = lab_cluster(params, check=False, progress=print)
    assert first["changed"]
    spec = NativeCluster.open(name).spec
    with cluster_lock(name):
        kill_all(lambda: cgroups.processes(name, "control"))
        kill_all(lambda: cgroups.processes(name))
        for node in spec.node_list:
            native_backend.network.down_node(spec, node)
        native_backend.network.down_host(spec)
        cgroups.remove(name)
    assert backend.get("native").status(name).state == "stopped"

    assert lab_cluster(params, check=True, progress=print)["changed"]
    assert backend.get("native").status(name).state == "stopped"
    again = lab_cluster(params, check=False, progress=print)

    assert again["changed"]
    assert again["nodes"] == [{"name": "n1", "address": first["nodes"][0]["address"], "state": "Ready"}]
    assert NativeCluster.open(name).spec == spec
    assert lab_cluster({"name": name, "state": "absent"}, check=False, progress=print)["changed"]
    assert traces(spec) == NOTHING


def test_the_task_makes_repairs_and_deletes(clean: Callable[[str], str]) -> None:
    """lab_cluster: check mode predicts and touches nothing, present is idempotent, repairs and refuses differences."""
    name = clean("task")
    params: dict[str, Any] = {"name": name, "nodes": 1}
    predicted = lab_cluster(params, check=True, progress=print)
    assert predicted["changed"]
    assert predicted["diff"]["before"] == {}
    assert not Layout.of(name).state.exists()

    made = lab_cluster(params, check=False, progress=print)
    assert made["changed"]
    assert made["diff"] == predicted["diff"]
    assert Path(made["kubeconfig"]).exists()
    assert not lab_cluster(params, check=False, progress=print)["changed"]
    assert not lab_cluster(params, check=True, progress=print)["changed"]

    NativeCluster.open(name).stop_process("kube-scheduler")
    assert lab_cluster(params, check=True, progress=print)["changed"]
    assert lab_cluster(params, check=False, progress=print)["changed"]
    assert not lab_cluster(params, check=False, progress=print)["changed"]

    with pytest.raises(ClusterExists, match="nodes is 1 and not 2") as caught:
        lab_cluster({**params, "nodes": 2}, check=False, progress=print)
    assert caught.value.fields["differences"] == {"nodes": {"found": 1, "wanted": 2}}

    absent = {"name": name, "state": "absent"}
    assert lab_cluster(absent, check=True, progress=print)["changed"]
    assert Layout.of(name).spec.exists()
    assert lab_cluster(absent, check=False, progress=print)["changed"]
    assert not lab_cluster(absent, check=False, progress=print)["changed"]
    assert not lab_cluster(absent, check=True, progress=print)["changed"]
