"""Choosing networks that nothing on this machine uses yet."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from ipaddress import IPv4Network

from limani.cluster.command import run
from limani.errors import BadInput, HostUnsuitable

# (pool, prefix of one cluster's share). The first shares are the values Kubernetes documentation uses.
POOLS = {
    "node_subnet": (IPv4Network("10.89.0.0/16"), 24),
    "pod_subnet": (IPv4Network("10.244.0.0/14"), 20),
    "service_subnet": (IPv4Network("10.96.0.0/14"), 20),
}


def routed() -> list[IPv4Network]:
    """Networks this machine has routes or addresses for, in any table (default routes left out)."""
    networks = []
    for route in json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]) or "[]"):
        destination = route.get("dst", "default")
        if destination != "default":
            networks.append(IPv4Network(destination, strict=False))
    return networks


def choose(field: str, wanted: str | None, taken: Iterable[IPv4Network]) -> IPv4Network:
    """The wanted network, or the first free one of the field's pool.

    Raises :class:`BadInput` if the wanted one overlaps a taken one, :class:`HostUnsuitable` if the pool is used up.
    """
    taken = list(taken)
    if wanted is not None:
        network = IPv4Network(wanted)
        for other in taken:
            if network.overlaps(other):
                raise BadInput(f"{field} {network} overlaps {other}, which this machine already uses.", field=field)
        return network
    pool, prefix = POOLS[field]
    for network in pool.subnets(new_prefix=prefix):
        if not any(network.overlaps(other) for other in taken):
            return network
    raise HostUnsuitable(f"No free network for {field} is left in {pool}.", hint=f"Name one with {field}.", field=field)


def free_port(wanted: int | None, start: int = 6443) -> int:
    """The wanted port, or the first from ``start`` on that no listener of the whole machine occupies."""
    if wanted is not None:
        return wanted
    for port in range(start, start + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                # Every cluster has an address of its own, so only listeners on all addresses are in the way.
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise HostUnsuitable(f"No free port from {start} to {start + 99}.", hint="Name one with --api-port.")
