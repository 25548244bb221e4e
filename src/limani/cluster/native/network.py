"""The cluster's network: one bridge, one network namespace per node, routes, and a table of our own in nftables.

Only the current network namespace and those of the cluster's nodes are touched. Commands go to ``ip -batch`` and
``nft -f``, one process each.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from limani.cluster.command import run
from limani.cluster.spec import Node, Spec
from limani.errors import CommandFailed, HostUnsuitable

NETNS_ROOT = Path("/run/netns")
_CLONE_NEWNET = 0x40000000

T = TypeVar("T")


def links() -> set[str]:
    """Names of the links of the current network namespace."""
    return {link["ifname"] for link in json.loads(run(["ip", "-j", "link", "show"]))}


def _ip(lines: list[str], *, netns: str | None = None, force: bool = False) -> None:
    """Run ``ip`` commands, one a line; ``force`` goes on after a failing one and does not complain."""
    if lines:
        arguments = ["ip", *(["-n", netns] if netns else []), *(["-force"] if force else []), "-batch", "-"]
        run(arguments, stdin="\n".join(lines) + "\n", check=not force)


def up_host(spec: Spec) -> None:
    """Bridge, address, masquerading. Does nothing for what is there already."""
    if spec.bridge not in links():
        _ip([f"link add {spec.bridge} type bridge"])
    prefix = spec.node_subnet.split("/")[1]
    # What is for a node that is down must end here, not leave by this machine's default route.
    unreachable = [f"route replace unreachable {subnet}" for subnet in (spec.pod_subnet, spec.service_subnet)]
    _ip([f"addr replace {spec.gateway}/{prefix} dev {spec.bridge}", f"link set {spec.bridge} up", *unreachable])
    run(["nft", "-f", "-"], stdin=nft_table(spec))
    _open_forwarding(spec)


def nft_table(spec: Spec) -> str:
    """The table's text: what leaves the cluster's networks takes this machine's address."""
    inside = f"{{ {spec.node_subnet}, {spec.pod_subnet}, {spec.service_subnet} }}"
    return f"""\
table ip {spec.nft_table}
delete table ip {spec.nft_table}
table ip {spec.nft_table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {{ {spec.node_subnet}, {spec.pod_subnet} }} ip daddr != {inside} masquerade
  }}
}}
"""


def up_node(spec: Spec, node: Node) -> None:
    """A fresh namespace: the node's eth0 on the bridge, routes to all pod networks, the host's route to the node's."""
    down_node(spec, node)
    others = [f"route replace {n.pod_subnet} via {n.address}" for n in spec.node_list if n != node]
    prefix = spec.node_subnet.split("/")[1]
    _ip(
        [
            f"netns add {node.netns}",
            f"link add {node.veth} type veth peer name eth0 netns {node.netns}",
            f"link set {node.veth} master {spec.bridge} up",
        ]
    )
    _ip(
        [
            "link set lo up",
            f"addr add {node.address}/{prefix} dev eth0",
            "link set eth0 up",
            f"route replace default via {spec.gateway}",
            *others,
        ],
        netns=node.netns,
    )
    _ip([f"route replace {node.pod_subnet} via {node.address}"])


def set_link(node: Node, *, up: bool) -> None:
    """Plug the node's cable in, or pull it."""
    _ip([f"link set {node.veth} {'up' if up else 'down'}"])


def link_is_up(node: Node) -> bool:
    """Whether the node's cable is plugged in (administratively up)."""
    try:
        return bool(int(Path(f"/sys/class/net/{node.veth}/flags").read_text(), 16) & 1)
    except FileNotFoundError:
        return False


def down_node(spec: Spec, node: Node) -> None:
    """Remove what :func:`up_node` made, as far as it is there."""
    _ip([f"route del {node.pod_subnet} via {node.address}", f"link del {node.veth}"], force=True)
    if (NETNS_ROOT / node.netns).exists():
        run(["ip", "netns", "del", node.netns])


def down_host(spec: Spec) -> None:
    """Remove routes, bridge and table, as far as they are there."""
    unreachable = [f"route del unreachable {subnet}" for subnet in (spec.pod_subnet, spec.service_subnet)]
    _ip([*unreachable, f"link del {spec.bridge}"], force=True)
    run(["nft", "-f", "-"], stdin=f"table ip {spec.nft_table}\ndelete table ip {spec.nft_table}\n")
    _close_forwarding(spec)


def _open_forwarding(spec: Spec) -> None:
    """Let forwarding to and from the bridge pass where a Docker on this machine made FORWARD drop everything.

    A drop in one table cannot be undone in another, so these two rules have to stand in iptables' own chain.
    """
    _close_forwarding(spec)
    with contextlib.suppress(CommandFailed, HostUnsuitable):
        if "-P FORWARD DROP" in run(["iptables", "-w", "5", "-S", "FORWARD"]):
            for rule in _forward_rules(spec):
                run(["iptables", "-w", "5", "-I", *rule])


def _close_forwarding(spec: Spec) -> None:
    with contextlib.suppress(CommandFailed, HostUnsuitable):
        present = run(["iptables", "-w", "5", "-S", "FORWARD"])
        for rule in _forward_rules(spec):
            for _ in range(present.count(f"{rule[1]} {spec.bridge} ")):
                run(["iptables", "-w", "5", "-D", *rule])


def _forward_rules(spec: Spec) -> list[list[str]]:
    comment = ["-m", "comment", "--comment", spec.nft_table]
    return [["FORWARD", direction, spec.bridge, *comment, "-j", "ACCEPT"] for direction in ("-i", "-o")]


def in_netns(netns: str, work: Callable[[], T]) -> T:
    """Run ``work`` in a thread of its own inside the network namespace and return its result (setns(2))."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    result: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            descriptor = os.open(NETNS_ROOT / netns, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if libc.setns(descriptor, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), netns)
            finally:
                os.close(descriptor)
            result.append(work())
        except BaseException as error:  # noqa: BLE001 (handed to the caller's thread)
            failure.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]
