"""What this machine must have before a cluster is begun: memory and free ports."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from pathlib import Path

from limani.errors import HostUnsuitable

FIRST_NODE_BYTES = 640 << 20
OTHER_NODE_BYTES = 192 << 20
"""What a cluster must find free. Measured with kind on Kubernetes 1.36: 470 MiB for one node, 840 MiB for three."""
_MEMINFO = Path("/proc/meminfo")


def check_memory(nodes: int, each: int | None = None, meminfo: Path = _MEMINFO) -> None:
    """Raise :class:`HostUnsuitable` if this machine has not enough memory free. ``each``: bytes asked for each node."""
    needed = each * nodes if each else FIRST_NODE_BYTES + OTHER_NODE_BYTES * (nodes - 1)
    free = available(meminfo)
    if free < needed:
        raise HostUnsuitable(
            f"A cluster of {nodes} nodes needs {needed >> 20} MiB of memory; this machine has {free >> 20} MiB free.",
            hint="Ask for fewer nodes, or end something else first.",
            needed_bytes=needed,
            free_bytes=free,
        )


def available(meminfo: Path = _MEMINFO) -> int:
    """Bytes of memory that can be had without swapping (MemAvailable of proc(5))."""
    for line in meminfo.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    raise HostUnsuitable(f"{meminfo} does not say how much memory is available.")


def check_port(address: str, port: int, protocol: str = "tcp") -> None:
    """Raise :class:`HostUnsuitable` if something on this machine has the port already."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            # An address of another machine or namespace, or a privileged port: Docker will say.
            if error.errno == errno.EADDRINUSE:
                raise HostUnsuitable(
                    f"Port {port}/{protocol} of {address} is taken.",
                    hint=f"Choose another, or find out who has it: ss -ln{protocol[0]}p sport = :{port}",
                    port=port,
                    address=address,
                ) from error


def free_port(taken: Iterable[int], start: int = 6443) -> int:
    """The first port from ``start`` on that is not among ``taken``."""
    used = set(taken)
    return next(port for port in range(start, 65536) if port not in used)
