"""What a cluster is: what was asked for (:class:`Request`) and what was settled (:class:`Spec`)."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network

import msgspec

from limani.errors import BadInput

MAX_NODES = 9
# A cluster's name becomes part of paths and cgroups; a node's of host names.
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")
_SIZE = re.compile(r"(\d+)([KMGT]?)i?B?", re.IGNORECASE)
_MIN_DISK = 64 << 20


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for; ``None`` leaves the choice to Limani."""

    name: str = "lab"
    nodes: int = 3
    kubernetes_version: str | None = None
    docker: bool = False
    node_subnet: str | None = None
    pod_subnet: str | None = None
    service_subnet: str | None = None
    api_port: int | None = None
    binaries: str | None = None
    mirror: str | None = None
    # Size of a node's own disk in bytes by node name; the key "*" stands for every node.
    node_disks: dict[str, int] = {}

    def __post_init__(self) -> None:
        check_name(self.name)
        if not 1 <= self.nodes <= MAX_NODES:
            raise BadInput(f"A cluster has 1 to {MAX_NODES} nodes, not {self.nodes}.", field="nodes", value=self.nodes)
        if self.api_port is not None and not 1 <= self.api_port <= 65535:
            raise BadInput(f"A port is a number from 1 to 65535, not {self.api_port}.", api_port=self.api_port)
        check_subnet("node_subnet", self.node_subnet, 27)
        check_subnet("pod_subnet", self.pod_subnet, 24)
        check_subnet("service_subnet", self.service_subnet, 26)
        names = {f"n{number}" for number in range(1, self.nodes + 1)} | {"*"}
        for node, size in self.node_disks.items():
            if node not in names:
                raise BadInput(f"The disk size names node {node!r}, but the nodes are n1 to n{self.nodes}.", node=node)
            if size < _MIN_DISK:
                raise BadInput(f"A disk of {size} bytes for {node} is too small; 64M is the least.", node=node)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node: names and addresses that follow from the cluster's spec."""

    number: int
    name: str
    address: str
    pod_subnet: str
    netns: str
    veth: str
    disk_bytes: int | None


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster with everything settled; written to ``spec.json`` before anything of it exists."""

    name: str
    # Small number unique on this machine: names of links have at most 15 characters.
    index: int
    nodes: int
    kubernetes_version: str
    docker: bool
    # The program, where docker is wanted.
    dockerd: str = ""
    node_subnet: str
    pod_subnet: str
    service_subnet: str
    api_port: int
    binaries: str
    mirror: str | None = None
    node_disks: dict[str, int] = {}
    format: int = 1

    @property
    def bridge(self) -> str:
        """The link of this machine that joins the nodes."""
        return f"lm{self.index}"

    @property
    def nft_table(self) -> str:
        """The table with this cluster's masquerading."""
        return f"limani-{self.name}"

    @property
    def gateway(self) -> str:
        """This machine's address on the nodes' network; the control plane listens on it."""
        return _host(self.node_subnet, 1)

    @property
    def kubernetes_service(self) -> str:
        """ClusterIP of ``kubernetes.default``."""
        return _host(self.service_subnet, 1)

    @property
    def dns_service(self) -> str:
        """ClusterIP of the cluster's DNS."""
        return _host(self.service_subnet, 10)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.gateway}:{self.api_port}"

    @property
    def node_list(self) -> list[Node]:
        """The nodes n1 to nN."""
        return [self.node(f"n{number}") for number in range(1, self.nodes + 1)]

    def node(self, name: str) -> Node:
        """The node of that name (must be one of n1 to nN)."""
        number = int(name.removeprefix("n"))
        pods = IPv4Network(self.pod_subnet)
        return Node(
            number=number,
            name=name,
            address=_host(self.node_subnet, 10 + number),
            # 16 parts; the first stays unused so that n1 is .1.x in the usual /20.
            pod_subnet=str(list(pods.subnets(prefixlen_diff=4))[number]),
            netns=f"lm{self.index}-{name}",
            veth=f"lm{self.index}{name}",
            disk_bytes=self.node_disks.get(name, self.node_disks.get("*")),
        )


def check_name(name: str) -> str:
    """The name if it can be a cluster's, else :class:`BadInput`."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"The cluster name {name!r} is not allowed: at most 30 small letters, digits and hyphens, a letter first.",
            name=name,
        )
    return name


def check_subnet(field: str, text: str | None, longest: int) -> None:
    """Raise :class:`BadInput` unless ``text`` is an IPv4 network with a prefix of at most ``longest`` bits."""
    if text is None:
        return
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise BadInput(f"{field} {text!r} is not an IPv4 network: {error}.", field=field, value=text) from error
    if not 8 <= network.prefixlen <= longest:
        raise BadInput(f"{field} {text} must have a prefix of /8 to /{longest}.", field=field, value=text)


def parse_size(text: str) -> int:
    """Bytes of a size such as ``300M`` or ``2GiB`` (units are powers of 1024)."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise BadInput(f"{text!r} is not a size; write for example 300M or 2G.", value=text)
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[found[2].upper()]


def parse_node_disks(texts: list[str] | tuple[str, ...]) -> dict[str, int]:
    """Sizes from ``SIZE`` (every node) and ``NODE=SIZE`` as the command line has them."""
    sizes: dict[str, int] = {}
    for text in texts:
        node, separator, size = text.rpartition("=")
        sizes[node if separator else "*"] = parse_size(size)
    return sizes


def _host(subnet: str, number: int) -> str:
    return str(IPv4Address(int(IPv4Network(subnet).network_address) + number))
