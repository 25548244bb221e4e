"""A DNS question asked from inside a node (RFC 1035): whether the cluster's DNS answers."""

from __future__ import annotations

import secrets
import socket
import struct

from limani.cluster.native.network import in_netns


def answers(netns: str, server: str, name: str, *, timeout_s: float = 0.5) -> bool:
    """Whether ``server`` (ClusterIP), asked over UDP from within the namespace, knows an address for ``name``."""
    ask = in_netns(netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with ask:
        ask.settimeout(timeout_s)
        number = secrets.randbelow(1 << 16)
        try:
            ask.connect((server, 53))
            ask.send(query(number, name))
            answer = ask.recv(4096)
        except OSError:
            return False
    if len(answer) < 12:
        return False
    got, flags, _, records = struct.unpack(">HHHH", answer[:8])
    return bool(got == number and flags & 0x0F == 0 and records > 0)


def query(number: int, name: str) -> bytes:
    """A question for the A records of ``name``, recursion desired (RFC 1035 section 4.1)."""
    labels = b"".join(bytes((len(label),)) + label.encode("ascii") for label in name.rstrip(".").split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
