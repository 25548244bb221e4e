"""Clusters with options: Docker on the nodes, a disk of limited size, networks of one's own choice."""

from __future__ import annotations

import os
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from limani.cluster import backend
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.spec import Request
from limani.errors import BadInput, CommandFailed
from tests.integration.cluster.conftest import IMAGE, Kubectl, until

pytestmark = pytest.mark.integration

DISK = 300 << 20


@pytest.fixture(scope="module")
def cluster(busybox: Path) -> Iterator[NativeCluster]:
    """Two nodes with Docker; the second has a small disk."""
    assert shutil.which("dockerd"), "this test needs dockerd (apt-get install docker.io); it need not run"
    native = backend.get("native")
    request = Request(
        name=f"t{os.getpid()}-options",
        nodes=2,
        docker=True,
        node_disks={"n2": DISK},
        node_subnet="10.66.1.0/26",
        pod_subnet="10.67.0.0/20",
        service_subnet="10.68.0.0/24",
        api_port=7443,
    )
    native.create(request, progress=print)
    try:
        made = NativeCluster.open(request.name)
        made.load(busybox)
        yield made
    finally:
        native.delete(request.name)


def test_networks_are_those_asked_for(cluster: NativeCluster) -> None:
    """Addresses lie in the networks that were named."""
    kubectl = Kubectl(cluster)
    assert cluster.spec.server == "https://10.66.1.1:7443"
    assert kubectl.get("service", "kubernetes")["spec"]["clusterIP"] == "10.68.0.1"
    assert [node["spec"]["podCIDR"] for node in kubectl.get("nodes")["items"]] == ["10.67.1.0/24", "10.67.2.0/24"]


def test_an_overlapping_network_is_refused(cluster: NativeCluster) -> None:
    """A network that another cluster uses is refused by name, and nothing is made."""
    with pytest.raises(BadInput, match=r"pod_subnet 10\.67\.0\.0/16 overlaps"):
        backend.get("native").create(Request(name="never", nodes=1, pod_subnet="10.67.0.0/16"), progress=print)
    assert "never" not in backend.get("native").names()
    assert not Path("/run/limani/never.lock").exists()


def test_docker_runs_containers_beside_pods(cluster: NativeCluster, busybox: Path) -> None:
    """docker load, run, published ports and limits work on a node, and pods of both nodes still reach each other."""
    cluster.exec("n1", ["docker", "load", "-i", str(busybox)])
    serve = "echo from-docker > /index.html; exec httpd -f -p 8080 -h /"
    cluster.exec(
        "n1", ["docker", "run", "-d", "--name", "web", "-p", "8088:8080", "-m", "64m", IMAGE, "sh", "-c", serve]
    )
    address = cluster.node("n1").address

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}:8088/", timeout=2) as answer:
                return bool(answer.read() == b"from-docker\n")
        except OSError:
            return False

    until(answers, 10, "the container answers on the node's address")
    assert cluster.exec("n1", ["docker", "exec", "web", "hostname"]).strip()
    kubectl = Kubectl(cluster)
    pods = kubectl.run_pods("beside", "hostname > /www/index.html; exec httpd -f -p 8080 -h /www")
    target = pods[1]
    script = f"busybox nc -w 5 {target['status']['podIP']} 8080 <<E\nGET / HTTP/1.0\n\nE"
    assert target["metadata"]["name"] in kubectl("exec", pods[0]["metadata"]["name"], "--", "sh", "-c", script)
    cluster.exec("n1", ["docker", "rm", "-f", "web"])


def test_a_killed_dockerd_comes_back(cluster: NativeCluster) -> None:
    """kill -9 of dockerd: it answers again soon."""
    before = cluster.exec("n2", ["cat", "/run/docker.pid"])
    cluster.exec("n2", ["kill", "-9", before.strip()])

    def back() -> bool:
        try:
            cluster.exec("n2", ["docker", "version"], timeout_s=10)
        except CommandFailed:
            return False
        return cluster.exec("n2", ["cat", "/run/docker.pid"]) != before

    until(back, 20, "dockerd answers")


def disk_bytes(cluster: NativeCluster, node: str, path: str) -> int:
    """Size of the file system a path of a node lies on."""
    blocks, block_bytes = cluster.exec(node, ["stat", "-f", "-c", "%b %S", path]).split()
    return int(blocks) * int(block_bytes)


def test_a_limited_disk_is_the_nodes_alone(cluster: NativeCluster) -> None:
    """The second node's disk has the size asked for and survives its restart; the first node has the machine's."""
    paths = ["/var/lib/containerd", "/var/lib/kubelet", "/var/lib/docker", "/var/lib/limani-test"]
    cluster.exec("n2", ["mkdir", "-p", paths[3]])
    for path in paths:
        assert 0.8 * DISK < disk_bytes(cluster, "n2", path) <= DISK, path
    with pytest.raises(CommandFailed, match="No space left"):
        cluster.exec("n2", ["dd", "if=/dev/zero", f"of={paths[3]}/full", "bs=1M", "count=400"])
    cluster.exec("n2", ["sh", "-c", f"rm {paths[3]}/full; echo kept > {paths[3]}/file"])
    cluster.stop_node("n2")
    cluster.start_node("n2")
    assert cluster.exec("n2", ["cat", f"{paths[3]}/file"]) == "kept\n"
    assert not Path(paths[3]).exists(), "what a node writes into its /var stays in the node"
    assert disk_bytes(cluster, "n1", "/var/lib/containerd") > 10 * DISK
