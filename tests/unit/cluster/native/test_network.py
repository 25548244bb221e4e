"""What is told to nftables and iptables."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from limani.cluster.native import network
from tests.unit.cluster.test_spec import a_spec


def test_only_what_leaves_the_cluster_is_masqueraded() -> None:
    """The table is the cluster's own, is replaced whole, and leaves traffic between its networks alone."""
    text = network.nft_table(a_spec())
    lines = text.splitlines()
    assert lines[:2] == ["table ip limani-lab", "delete table ip limani-lab"]
    rule = next(line for line in lines if "masquerade" in line)
    assert "ip saddr { 10.89.0.0/24, 10.244.0.0/20 }" in rule
    assert "ip daddr != { 10.89.0.0/24, 10.244.0.0/20, 10.96.0.0/20 }" in rule


class Iptables:
    """iptables' FORWARD chain."""

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.rules: list[str] = []

    def run(self, arguments: Sequence[str]) -> str:
        action, rest = arguments[3], " ".join(arguments[4:])
        if action == "-S":
            return "\n".join([f"-P FORWARD {self.policy}", *(f"-A {rule}" for rule in self.rules)])
        if action == "-I":
            self.rules.insert(0, rest)
        else:
            self.rules.remove(rest)
        return ""


@pytest.mark.parametrize(("policy", "count"), [("DROP", 2), ("ACCEPT", 0)])
def test_forwarding_is_opened_where_docker_closed_it(monkeypatch: pytest.MonkeyPatch, policy: str, count: int) -> None:
    """Two rules where FORWARD drops, none elsewhere; the same after a second time; none after closing."""
    iptables = Iptables(policy)
    monkeypatch.setattr(network, "run", iptables.run)
    for _ in range(2):
        network._open_forwarding(a_spec())
        assert len(iptables.rules) == count
    iptables.rules.append("FORWARD -i lm01 -j ACCEPT")
    network._close_forwarding(a_spec())
    assert iptables.rules == ["FORWARD -i lm01 -j ACCEPT"]
