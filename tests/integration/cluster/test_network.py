"""Networking of a native cluster, on the real one."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from limani.cluster.command import run
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.native.network import in_netns
from tests.integration.cluster.conftest import Kubectl, until

pytestmark = pytest.mark.integration

SERVE = "hostname > /www/index.html; exec httpd -f -p 8080 -h /www"


@pytest.fixture(scope="module")
def web(kubectl: Kubectl) -> list[dict[str, Any]]:
    """A web server on every node, behind a Service with a NodePort."""
    return kubectl.run_pods("net-web", SERVE, service={"type": "NodePort"})


def fetch(address: str, port: int) -> str:
    """What a pod's server says, asked from this machine."""
    with urllib.request.urlopen(f"http://{address}:{port}/", timeout=5) as answer:
        return str(answer.read().decode().strip())


def ask(kubectl: Kubectl, pod: str, address: str, port: int) -> str:
    """What a server says, asked from within a pod."""
    return kubectl("exec", pod, "--", "sh", "-c", f"busybox nc -w 5 {address} {port} <<E\nGET / HTTP/1.0\n\nE")


def test_pod_networks_are_the_nodes(web: list[dict[str, Any]], lab: NativeCluster, kubectl: Kubectl) -> None:
    """Every pod's address is in the network of its node, which is also the Node's podCIDR."""
    cidrs = {node["metadata"]["name"]: node["spec"]["podCIDR"] for node in kubectl.get("nodes")["items"]}
    assert cidrs == {node.name: node.pod_subnet for node in lab.spec.node_list}
    for pod in web:
        prefix = cidrs[pod["spec"]["nodeName"]].rsplit(".", 1)[0]
        assert pod["status"]["podIP"].startswith(f"{prefix}.")


def test_every_pod_reaches_every_pod(web: list[dict[str, Any]], kubectl: Kubectl) -> None:
    """Pods reach each other by address, on the same node and across nodes."""
    for source in web:
        for target in web:
            answer = ask(kubectl, source["metadata"]["name"], target["status"]["podIP"], 8080)
            assert target["metadata"]["name"] in answer


def test_the_host_reaches_pods(web: list[dict[str, Any]]) -> None:
    """This machine reaches pods by their addresses."""
    assert [fetch(pod["status"]["podIP"], 8080) for pod in web] == [pod["metadata"]["name"] for pod in web]


def test_service_by_cluster_ip_spreads_over_nodes(web: list[dict[str, Any]], kubectl: Kubectl) -> None:
    """A ClusterIP answers from every node and reaches the pods of all nodes, its own included."""
    address = kubectl.get("service", "net-web")["spec"]["clusterIP"]
    names = {pod["metadata"]["name"] for pod in web}
    for pod in web:
        seen: set[str] = set()

        def all_seen(name: str = pod["metadata"]["name"], seen: set[str] = seen) -> bool:
            answer = ask(kubectl, name, address, 80)
            seen.update(other for other in names if other in answer)
            return seen == names

        until(all_seen, 30, f"{address} from {pod['spec']['nodeName']} leads to all pods")


def test_names_resolve_in_pods(web: list[dict[str, Any]], kubectl: Kubectl) -> None:
    """Pods resolve Services by short and full name through the cluster's DNS, and not what does not exist."""
    pod = web[0]["metadata"]["name"]
    address = kubectl.get("service", "net-web")["spec"]["clusterIP"]
    for name in ("net-web.default.svc.cluster.local", "kubernetes.default.svc.cluster.local"):
        assert "Address" in kubectl("exec", pod, "--", "nslookup", name)
    assert address in kubectl("exec", pod, "--", "nslookup", "net-web.default.svc.cluster.local")
    assert "cluster.local" in kubectl("exec", pod, "--", "cat", "/etc/resolv.conf")
    missing = kubectl("exec", pod, "--", "sh", "-c", "nslookup nothing.default.svc.cluster.local 2>&1 || true")
    assert "NXDOMAIN" in missing


def test_the_host_reaches_node_ports(web: list[dict[str, Any]], lab: NativeCluster, kubectl: Kubectl) -> None:
    """A NodePort answers on every node's address from this machine."""
    port = kubectl.get("service", "net-web")["spec"]["ports"][0]["nodePort"]
    names = {pod["metadata"]["name"] for pod in web}
    assert all(fetch(node.address, port) in names for node in lab.spec.node_list)


@pytest.fixture
def outside() -> Iterator[str]:
    """A network namespace beyond this machine that knows no way to the cluster; this machine is 198.51.100.1 there."""
    netns, veth = "lmtest-outside", "lmtestout"
    try:
        run(["ip", "netns", "add", netns])
        lines = (
            f"link add {veth} type veth peer name eth0 netns {netns}",
            f"addr add 198.51.100.1/24 dev {veth}",
            f"link set {veth} up",
        )
        run(["ip", "-batch", "-"], stdin="\n".join(lines))
        run(["ip", "-n", netns, "-batch", "-"], stdin="addr add 198.51.100.2/24 dev eth0\nlink set eth0 up")
        yield netns
    finally:
        run(["ip", "link", "del", veth], check=False)
        run(["ip", "netns", "del", netns])


def test_pods_leave_the_cluster_with_the_hosts_address(
    web: list[dict[str, Any]], outside: str, kubectl: Kubectl
) -> None:
    """A pod reaches a network that knows no way back to it: what leaves the cluster takes this machine's address."""
    pod = web[1]["metadata"]["name"]
    with in_netns(outside, lambda: socket.create_server(("198.51.100.2", 8000))) as server:
        server.settimeout(20)
        kubectl("exec", pod, "--", "sh", "-c", "echo hello | busybox nc -w 5 198.51.100.2 8000 >/dev/null 2>&1 &")
        connection, peer = server.accept()
        with connection:
            assert connection.recv(100) == b"hello\n"
        assert peer[0] == "198.51.100.1"


def test_exec_logs_and_pods_proxy_work(web: list[dict[str, Any]], kubectl: Kubectl) -> None:
    """The API server reaches kubelets and pods: exec, logs, pods/proxy and the kubelet's summary."""
    name = web[2]["metadata"]["name"]
    assert kubectl("exec", name, "--", "hostname").strip() == name
    assert kubectl("logs", name) == ""
    assert kubectl("get", "--raw", f"/api/v1/namespaces/default/pods/{name}:8080/proxy/").strip() == name
    assert '"nodeName": "n1"' in kubectl("get", "--raw", "/api/v1/nodes/n1/proxy/stats/summary")
