"""Whatever is killed comes back; whatever was stopped on purpose stays down until it is started."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from limani.cluster import backend
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.native.lock import cluster_lock
from limani.cluster.native.processes import Process
from limani.cluster.status import ClusterStatus
from limani.errors import BadInput, NodeUnknown, RuntimeUnavailable
from tests.integration.cluster.conftest import Kubectl, until

pytestmark = pytest.mark.integration

CONTROL = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "coredns", "warden")
ON_NODES = ("containerd", "kubelet", "kube-proxy")


def status(lab: NativeCluster) -> ClusterStatus:
    """The cluster's status as the command reports it."""
    return backend.get("native").status(lab.spec.name)


def pids(lab: NativeCluster) -> dict[str, int]:
    """PID on this machine of every process that runs."""
    found = status(lab)
    every = [*found.processes, *(process for node in found.nodes for process in node.processes)]
    return {process.name: process.pid for process in every if process.state == "RUNNING" and process.pid}


def running(lab: NativeCluster) -> bool:
    """Whether everything is as it should be."""
    return status(lab).state == "running"


def kill(pid: int) -> None:
    """kill -9, awaited."""
    process = Process.of(pid)
    assert process is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not process.alive, 10, f"{pid} ends")


@pytest.fixture(autouse=True)
def whole_again(lab: NativeCluster) -> Any:
    """Every test begins and ends with a cluster in which everything runs."""
    until(lambda: running(lab), 60, "cluster runs before the test")
    yield
    until(lambda: running(lab), 60, "cluster runs after the test")


@pytest.mark.parametrize("name", [*CONTROL, *(f"n2/{program}" for program in ON_NODES)])
def test_a_killed_process_comes_back(lab: NativeCluster, name: str) -> None:
    """kill -9 of a process: a new one runs soon, and the cluster is whole again."""
    before = pids(lab)[name]
    kill(before)
    until(lambda: pids(lab).get(name, before) != before, 10, f"{name} comes back")
    until(lambda: running(lab), 60, "cluster runs")


def test_a_killed_supervisor_comes_back(lab: NativeCluster, kubectl: Kubectl) -> None:
    """kill -9 of the control plane's supervisor: it and its processes come back, the nodes never stop."""
    inits = [lab.init(node.name) for node in lab.spec.node_list]
    before = pids(lab)
    kill(int((lab.layout.run / "supervisord.pid").read_text()))
    until(lambda: pids(lab).get("etcd", before["etcd"]) != before["etcd"], 20, "etcd comes back")
    until(lambda: running(lab), 60, "cluster runs")
    assert [lab.init(node.name) for node in lab.spec.node_list] == inits
    assert kubectl.get("service", "kubernetes")["spec"]["clusterIP"] == lab.spec.kubernetes_service


def test_a_killed_node_boots_again(lab: NativeCluster, kubectl: Kubectl) -> None:
    """kill -9 of a node's PID 1 takes all its processes with it; the node boots by itself and its pods run again."""
    pod = kubectl.run_pods("again", "exec sleep 1000000")[0]
    init = lab.init("n1")
    assert init is not None
    kill(init.pid)
    until(lambda: lab.init("n1") not in (None, init), 20, "n1 boots")
    until(lambda: running(lab), 60, "cluster runs")

    def runs_again() -> bool:
        now = kubectl.get("pod", pod["metadata"]["name"])["status"]
        state = now["containerStatuses"][0]
        return bool(state["restartCount"] >= 1 and state["ready"])

    until(runs_again, 60, "the pod runs again")
    kubectl("delete", "ds/again")


def test_a_stopped_process_stays_down_until_started(lab: NativeCluster, kubectl: Kubectl) -> None:
    """With the scheduler stopped a new pod stays pending; started again it is scheduled."""
    assert lab.stop_process("kube-scheduler")
    assert not lab.stop_process("kube-scheduler")
    assert status(lab).state == "degraded"
    kubectl(
        "run", "waits", "--image=test.limani.dev/cluster-busybox:1", "--image-pull-policy=Never", "--", "sleep", "9"
    )
    assert "nodeName" not in kubectl.get("pod", "waits")["spec"]
    assert lab.start_process("kube-scheduler")
    assert not lab.start_process("kube-scheduler")
    kubectl("wait", "pod/waits", "--for=condition=PodScheduled", "--timeout=30s")
    kubectl("delete", "pod/waits", "--now")


def test_restart_gives_a_new_process(lab: NativeCluster) -> None:
    """``process restart n3/kubelet`` replaces the process."""
    before = pids(lab)["n3/kubelet"]
    assert lab.restart_process("n3/kubelet")
    until(lambda: pids(lab).get("n3/kubelet", before) != before, 10, "a new kubelet")


def test_a_stopped_node_stays_off_and_becomes_not_ready(lab: NativeCluster, kubectl: Kubectl) -> None:
    """A node that was switched off stays off, is NotReady within half a minute, and is Ready soon after its start."""
    with cluster_lock(lab.spec.name):
        assert lab.stop_node("n3")
        assert not lab.stop_node("n3")
    with pytest.raises(RuntimeUnavailable):
        lab.exec("n3", ["true"])
    kubectl("wait", "node/n3", "--for=condition=Ready=Unknown", "--timeout=30s")
    assert lab.init("n3") is None
    node = status(lab).nodes[2]
    assert (node.state, node.ready, node.pid) == ("down", False, 0)
    with cluster_lock(lab.spec.name):
        assert lab.start_node("n3")
        assert not lab.start_node("n3")
    kubectl("wait", "node/n3", "--for=condition=Ready=True", "--timeout=30s")


def test_a_disconnected_node_lives_on_without_network(lab: NativeCluster, kubectl: Kubectl) -> None:
    """With its cable pulled a node runs on but nobody reaches it; plugged in again it is Ready."""
    init = lab.init("n2")
    assert lab.connect_node("n2", connected=False)
    assert not lab.connect_node("n2", connected=False)
    assert status(lab).nodes[1].state == "disconnected"
    kubectl("wait", "node/n2", "--for=condition=Ready=Unknown", "--timeout=30s")
    assert lab.init("n2") == init
    assert lab.exec("n2", ["hostname"]).strip() == "n2"
    assert lab.connect_node("n2", connected=True)
    kubectl("wait", "node/n2", "--for=condition=Ready=True", "--timeout=30s")


def test_unknown_parts_are_named(lab: NativeCluster) -> None:
    """Commands about nodes and processes that do not exist say so."""
    with pytest.raises(NodeUnknown, match="n9"):
        lab.exec("n9", ["true"])
    with pytest.raises(BadInput, match="kube-nothing"):
        lab.stop_process("kube-nothing")
