"""Configuration of the control plane."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from limani.cluster.native import control
from limani.cluster.native.layout import Layout
from tests.unit.cluster.test_spec import a_spec

LAYOUT = Layout("lab", Path("/state/lab"), Path("/run/limani/lab"))


def test_everything_listens_on_the_clusters_own_address() -> None:
    """No process listens on all addresses: two clusters do not meet, and the network outside sees none of it."""
    words = {p.name: shlex.split(p.command) for p in control.programs(a_spec(), LAYOUT, "/usr/bin/python3")}
    assert "--bind-address=10.89.0.1" in words["kube-apiserver"]
    assert "--listen-client-urls=https://10.89.0.1:2379" in words["etcd"]
    for name in ("kube-controller-manager", "kube-scheduler"):
        assert "--bind-address=10.89.0.1" in words[name][-1]
    assert "bind 10.89.0.1" in control.corefile(a_spec(), LAYOUT, [])
    assert not [word for command in words.values() for word in command if "0.0.0.0" in word]


def test_etcd_wants_certificates_of_its_own_authority() -> None:
    """Whoever has a certificate of the cluster (every kubelet) still cannot read etcd."""
    etcd = next(p for p in control.programs(a_spec(), LAYOUT, "python") if p.name == "etcd").command
    assert "--client-cert-auth=true" in etcd
    assert "--trusted-ca-file=/state/lab/pki/etcd-ca.crt" in etcd


def test_names_of_other_places_are_asked_upstream_if_there_is_one() -> None:
    """CoreDNS forwards to the machine's resolvers; without any it only knows the cluster."""
    assert "forward . 192.0.2.53" in control.corefile(a_spec(), LAYOUT, ["192.0.2.53"])
    assert "forward" not in control.corefile(a_spec(), LAYOUT, [])


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("", []),
        ("# nameserver 192.0.2.1\nsearch example.com\n", []),
        ("nameserver 127.0.0.53\noptions edns0\n", ["127.0.0.53"]),
        (
            "nameserver 192.0.2.1\nnameserver fd00::1\nnameserver fe80::1%eth0\nnameserver bad\n",
            ["192.0.2.1", "fd00::1"],
        ),
    ],
)
def test_resolvers_of_the_machine(tmp_path: Path, text: str, servers: list[str]) -> None:
    """Name servers are read from resolv.conf; what is no address that can be forwarded to is left out."""
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    assert control.upstream_resolvers(file) == servers
    assert control.upstream_resolvers(tmp_path / "missing") == []
