"""What can be asked of a cluster, and what follows from a spec."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limani.cluster.spec import Request, Spec, check_name, parse_node_disks, parse_size
from limani.errors import BadInput


def a_spec(**changes: Any) -> Spec:
    """A spec of three nodes."""
    values = {
        "name": "lab",
        "index": 0,
        "nodes": 3,
        "kubernetes_version": "1.36.3",
        "docker": False,
        "node_subnet": "10.89.0.0/24",
        "pod_subnet": "10.244.0.0/20",
        "service_subnet": "10.96.0.0/20",
        "api_port": 6443,
        "binaries": "/opt/binaries",
    }
    return Spec(**{**values, **changes})


@pytest.mark.parametrize("name", ["", "Lab", "1lab", "a_b", "a/b", "..", "a" * 31, "lab-", "ä", "a b", "a\n"])
def test_bad_names_are_refused(name: str) -> None:
    """A name that could leave its folder or break a cgroup path is refused."""
    with pytest.raises(BadInput):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "lab", "lab-2", "a" * 30])
def test_good_names_are_taken(name: str) -> None:
    """Ordinary names are taken as they are."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"nodes": 0}, "nodes"),
        ({"nodes": 10}, "nodes"),
        ({"node_subnet": "10.0.0.0/30"}, "node_subnet"),
        ({"node_subnet": "10.0.0.1/24"}, "node_subnet"),
        ({"pod_subnet": "pods"}, "pod_subnet"),
        ({"pod_subnet": "10.0.0.0/25"}, "pod_subnet"),
        ({"service_subnet": "0.0.0.0/0"}, "service_subnet"),
        ({"service_subnet": "fd00::/64"}, "service_subnet"),
        ({"api_port": 0}, "port"),
        ({"api_port": 65536}, "port"),
        ({"nodes": 2, "node_disks": {"n3": 1 << 30}}, "n3"),
        ({"node_disks": {"n1": 1000}}, "n1"),
    ],
)
def test_bad_requests_name_the_field(values: dict[str, Any], named: str) -> None:
    """What cannot be is refused with the field in the message."""
    with pytest.raises(BadInput, match=named):
        Request(**values)


@pytest.mark.parametrize(
    ("text", "size"),
    [("300M", 300 << 20), ("2G", 2 << 30), ("2GiB", 2 << 30), ("7", 7), ("1k", 1024), (" 1T ", 1 << 40)],
)
def test_sizes(text: str, size: int) -> None:
    """Sizes are read with binary units."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "12X", "1 2"])
def test_bad_sizes(text: str) -> None:
    """What is no size is refused."""
    with pytest.raises(BadInput):
        parse_size(text)


def test_node_disks() -> None:
    """SIZE stands for every node, NODE=SIZE for one."""
    assert parse_node_disks(["1G", "n2=300M"]) == {"*": 1 << 30, "n2": 300 << 20}
    spec = a_spec(node_disks={"*": 1 << 30, "n2": 300 << 20})
    assert [node.disk_bytes for node in spec.node_list] == [1 << 30, 300 << 20, 1 << 30]
    assert [node.disk_bytes for node in a_spec().node_list] == [None] * 3


def test_addresses_of_the_usual_cluster() -> None:
    """The documented addresses follow from the spec."""
    spec = a_spec()
    assert spec.server == "https://10.89.0.1:6443"
    assert (spec.kubernetes_service, spec.dns_service) == ("10.96.0.1", "10.96.0.10")
    assert [(n.name, n.address, n.pod_subnet) for n in spec.node_list] == [
        ("n1", "10.89.0.11", "10.244.1.0/24"),
        ("n2", "10.89.0.12", "10.244.2.0/24"),
        ("n3", "10.89.0.13", "10.244.3.0/24"),
    ]


@given(st.integers(1, 9), st.integers(8, 27), st.integers(8, 24), st.integers(0, 999))
def test_names_and_addresses_always_fit(nodes: int, node_prefix: int, pod_prefix: int, index: int) -> None:
    """In networks of any allowed size addresses lie inside and differ; links' names have at most 15 characters."""
    spec = a_spec(nodes=nodes, index=index, node_subnet=f"10.0.0.0/{node_prefix}", pod_subnet=f"20.0.0.0/{pod_prefix}")
    network, pods = IPv4Network(spec.node_subnet), IPv4Network(spec.pod_subnet)
    addresses = [spec.gateway, *(node.address for node in spec.node_list)]
    assert len(set(addresses)) == nodes + 1
    assert all(IPv4Address(address) in network and address != str(network.broadcast_address) for address in addresses)
    shares = [IPv4Network(node.pod_subnet) for node in spec.node_list]
    assert all(share.subnet_of(pods) for share in shares)
    assert len(set(shares)) == nodes
    assert all(len(name) <= 15 for node in spec.node_list for name in (node.veth, spec.bridge))


def test_a_spec_survives_its_file() -> None:
    """What is written is what is read."""
    spec = a_spec(node_disks={"n1": 1 << 30}, mirror="https://mirror.example")
    assert msgspec.json.decode(msgspec.json.encode(spec), type=Spec) == spec
