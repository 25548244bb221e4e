"""Choosing networks and ports that are free."""

from __future__ import annotations

import json
import socket
from ipaddress import IPv4Network
from typing import Any

import pytest

from limani.cluster import subnets
from limani.errors import BadInput, HostUnsuitable


def test_the_first_share_is_taken_when_all_is_free() -> None:
    """On an idle machine a cluster has the networks of the documentation."""
    chosen = {field: str(subnets.choose(field, None, [])) for field in subnets.POOLS}
    assert chosen == {
        "node_subnet": "10.89.0.0/24",
        "pod_subnet": "10.244.0.0/20",
        "service_subnet": "10.96.0.0/20",
    }


def test_what_overlaps_is_left_out() -> None:
    """A share that overlaps anything taken, larger or smaller, is passed over."""
    taken = [IPv4Network("10.89.0.7/32"), IPv4Network("10.89.0.0/23"), IPv4Network("10.89.2.0/24")]
    assert str(subnets.choose("node_subnet", None, taken)) == "10.89.3.0/24"


def test_a_wanted_network_is_taken_or_refused() -> None:
    """A network that was named is used as it is, or refused with what it overlaps."""
    assert str(subnets.choose("pod_subnet", "172.20.0.0/16", [])) == "172.20.0.0/16"
    with pytest.raises(BadInput, match=r"pod_subnet 172\.20\.0\.0/16 overlaps 172\.20\.3\.0/24"):
        subnets.choose("pod_subnet", "172.20.0.0/16", [IPv4Network("172.20.3.0/24")])


def test_a_used_up_pool_is_an_error() -> None:
    """When the machine uses all of 10.0.0.0/8 the error says which option to give."""
    with pytest.raises(HostUnsuitable) as caught:
        subnets.choose("node_subnet", None, [IPv4Network("10.0.0.0/8")])
    assert "node_subnet" in caught.value.hint


def test_routes_of_all_kinds_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks, single addresses and unreachable ones count; the default route does not."""
    routes: list[dict[str, Any]] = [
        {"dst": "default", "gateway": "192.0.2.1"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"type": "local", "dst": "192.0.2.2"},
        {"type": "unreachable", "dst": "10.244.0.0/20"},
    ]
    monkeypatch.setattr(subnets, "run", lambda _: json.dumps(routes))
    assert [str(network) for network in subnets.routed()] == ["192.0.2.0/24", "192.0.2.2/32", "10.244.0.0/20"]


def test_a_port_in_use_is_passed_over() -> None:
    """A listener on all addresses keeps a cluster off its port."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert subnets.free_port(None, start=port) > port
        assert subnets.free_port(port) == port
