"""Configuration of a node."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from limani.cluster.native import node as nodes
from limani.cluster.native import pki
from limani.cluster.native.bootscript import Host
from limani.cluster.native.cgroups import Hierarchy
from limani.cluster.native.control import write_certificates
from limani.cluster.native.layout import Layout
from tests.unit.cluster.test_spec import a_spec


def host(*, may_raise_limits: bool = True) -> Host:
    """A machine."""
    return Host("/usr/bin/python3", may_raise_limits, (Hierarchy(Path("/sys/fs/cgroup"), 2, ""),))


def test_the_kubelet_knows_its_node() -> None:
    """Addresses, cgroup root and v1 hosts."""
    spec = a_spec()
    config = nodes.kubelet(spec, spec.node("n2"))
    assert config["address"] == "10.89.0.12"
    assert config["clusterDNS"] == ["10.96.0.10"]
    assert config["failCgroupV1"] is False
    assert config["cgroupRoot"] == "/"


def test_containerd_restricts_oom_scores_only_where_it_must() -> None:
    """Without CAP_SYS_RESOURCE pods could not start otherwise; with it pods get the scores they ask for."""
    for may, restricted in ((True, False), (False, True)):
        config = tomllib.loads(nodes.containerd(a_spec(), host(may_raise_limits=may)))
        assert config["plugins"]["io.containerd.cri.v1.runtime"]["restrict_oom_score_adj"] is restricted
        assert config["plugins"]["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"].endswith("/pause:1")


def test_docker_runs_only_where_asked() -> None:
    """dockerd is one of the node's processes with --docker and not without."""
    plain, docker = a_spec(), a_spec(docker=True, dockerd="/usr/sbin/dockerd")
    assert "dockerd" not in [program.name for program in nodes.programs(plain, plain.node("n1"))]
    program = nodes.programs(docker, docker.node("n1"))[-1]
    assert program.name == "dockerd"
    assert "--containerd=/run/containerd/containerd.sock" in program.command


def test_resolvers_on_loopback_are_not_passed_on() -> None:
    """A stub on the machine's loopback cannot be reached from a node; its pods ask the cluster's DNS instead."""
    assert nodes.resolv_conf(a_spec(), ["127.0.0.53", "192.0.2.1"]) == "nameserver 192.0.2.1\n"
    assert nodes.resolv_conf(a_spec(), ["127.0.0.53"]) == "nameserver 10.96.0.10\n"


def test_what_a_node_gets(tmp_path: Path) -> None:
    """The node's /etc has its own keys and nobody else's; keys are private."""
    layout, spec = Layout("lab", tmp_path / "state", tmp_path / "run"), a_spec()
    write_certificates(spec, layout)
    nodes.write(spec, layout, spec.node("n1"), host())
    etc = layout.node("n1").etc / "upper"
    keys = list(etc.rglob("*.key")) + list(etc.rglob("*.kubeconfig"))
    assert {key.name for key in keys} == {"kubelet.key", "kubelet.kubeconfig", "kube-proxy.kubeconfig"}
    assert all(key.stat().st_mode & 0o77 == 0 for key in keys)
    assert (etc / "kubernetes/pki/kubelet.key").read_bytes() == pki.Pair.read(layout.pki, "n1").key
    cni = json.loads((etc / "cni/net.d/10-limani.conflist").read_text())
    assert cni["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
