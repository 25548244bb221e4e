"""What can be asked of a cluster that kind or minikube makes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Any, TypeVar

import msgspec

from limani.cluster.spec import Request, parse_size
from limani.errors import BadInput, Unsupported

RUNTIMES = ("containerd", "docker")
OWN = ("image", "api_address", "runtime", "mounts", "ports", "registry_mirrors", "memory", "adopt")
"""What a native cluster cannot have."""
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d+)?", re.IGNORECASE)
_VERSION = re.compile(r"v?\d+\.\d+\.\d+(-[0-9a-z.-]+)?")


class Mount(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A folder of this machine in every node."""

    host: str
    node: str
    read_only: bool = False

    def __post_init__(self) -> None:
        for path in (self.host, self.node):
            if not path.startswith("/"):
                raise BadInput(f"A mount needs absolute paths, not {path!r}.", path=path)


class Port(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A port of this machine that leads to one of the control plane's node, a NodePort for example."""

    host: int
    node: int
    address: str = "127.0.0.1"
    protocol: str = "tcp"

    def __post_init__(self) -> None:
        for number in (self.host, self.node):
            if not 1 <= number <= 65535:
                raise BadInput(f"A port is a number from 1 to 65535, not {number}.", port=number)
        if self.protocol not in ("tcp", "udp"):
            raise BadInput(f"A port's protocol is tcp or udp, not {self.protocol!r}.", protocol=self.protocol)
        check_address("address", self.address)


class HostedRequest(Request, frozen=True, kw_only=True):
    """What the user asks for. ``image``: of the nodes; ``api_address``: where the API server listens.

    ``runtime``: ``containerd`` or ``docker`` on the nodes. ``registry_mirrors``: URLs to ask first, by registry.
    ``memory``: bytes of each node. ``adopt``: look after a cluster of that name that Limani did not make.
    """

    image: str | None = None
    api_address: str | None = None
    runtime: str | None = None
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Port, ...] = ()
    registry_mirrors: dict[str, list[str]] = msgspec.field(default_factory=dict)
    memory: int | None = None
    adopt: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kubernetes_version and not _VERSION.fullmatch(self.kubernetes_version):
            raise BadInput(
                f"{self.kubernetes_version!r} is not a version of Kubernetes; write for example 1.36.3.",
                value=self.kubernetes_version,
            )
        if self.runtime not in (None, *RUNTIMES):
            raise BadInput(f"The runtime is {' or '.join(RUNTIMES)}, not {self.runtime!r}.", runtime=self.runtime)
        check_address("api_address", self.api_address)
        for registry, urls in self.registry_mirrors.items():
            if not _HOST.fullmatch(registry):
                raise BadInput(
                    f"{registry!r} is not the name of a registry; write for example docker.io.", value=registry
                )
            for url in urls:
                if not url.startswith(("http://", "https://")):
                    raise BadInput(f"The mirror {url!r} of {registry} is not a URL with http or https.", value=url)

    @property
    def version(self) -> str | None:
        """The Kubernetes version asked for, without a ``v``."""
        return self.kubernetes_version.removeprefix("v") if self.kubernetes_version else None


def request_from(params: Mapping[str, Any]) -> HostedRequest:
    """The request in a module's or a command's parameters. Raises :class:`BadInput` naming what is wrong."""
    plain = ("kubernetes_version", "node_subnet", "pod_subnet", "service_subnet", "api_port")
    texts = ("binaries", "mirror", "image", "api_address", "runtime")
    memory = params.get("memory")
    return HostedRequest(
        name=params.get("name") or "lab",
        nodes=int(params["nodes"]) if params.get("nodes") is not None else 3,
        docker=bool(params.get("docker")),
        adopt=bool(params.get("adopt")),
        mounts=tuple(sorted(parse_mount(item) for item in params.get("mounts") or ())),
        ports=tuple(sorted(parse_port(item) for item in params.get("ports") or ())),
        registry_mirrors={key: list(urls) for key, urls in dict(params.get("registry_mirrors") or {}).items()},
        memory=parse_size(str(memory)) if memory else None,
        node_disks={"*": 64 << 20} if params.get("node_disks") else {},  # refused by every backend of this kind
        **{name: params[name] for name in (*plain, *texts) if params.get(name)},
    )


def parse_mount(item: str | Mapping[str, Any]) -> Mount:
    """A mount from ``HOST:NODE[:ro]`` or a mapping with host, node and read_only."""
    if isinstance(item, str):
        parts = item.split(":")
        if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] != "ro"):
            raise BadInput(f"{item!r} is not a mount; write HOST:NODE or HOST:NODE:ro.", value=item)
        return Mount(host=parts[0], node=parts[1], read_only=len(parts) == 3)
    return _convert(item, Mount, "mount")


def parse_port(item: str | Mapping[str, Any]) -> Port:
    """A port from ``[ADDRESS:]HOST:NODE[/udp]`` or a mapping with host, node, address and protocol."""
    if isinstance(item, str):
        numbers, _, protocol = item.partition("/")
        parts = numbers.split(":")
        if len(parts) not in (2, 3) or not all(part.isdecimal() for part in parts[-2:]):
            raise BadInput(f"{item!r} is not a port; write [ADDRESS:]HOST:NODE[/udp].", value=item)
        address = {"address": parts[0]} if len(parts) == 3 else {}
        return Port(host=int(parts[-2]), node=int(parts[-1]), protocol=protocol or "tcp", **address)
    return _convert(item, Port, "port")


def check_address(field: str, text: str | None) -> None:
    """Raise :class:`BadInput` unless ``text`` is an IPv4 address or nothing."""
    try:
        IPv4Address(text or "0.0.0.0")  # noqa: S104 - only parsed
    except ValueError as error:
        raise BadInput(f"{field} {text!r} is not an IPv4 address.", field=field, value=text) from error


def refuse_for_native(params: Mapping[str, Any]) -> None:
    """Raise :class:`Unsupported` naming an option that only clusters of kind and minikube can have."""
    for field in OWN:
        if params.get(field):
            raise Unsupported(f"A native cluster cannot have {field}.", hint=f"Leave {field} out.", field=field)


def refuse(request: HostedRequest, backend: str, fields: Iterable[str], hint: str | None = None) -> None:
    """Raise :class:`Unsupported` naming the first of ``fields`` that is asked for although the backend lacks it."""
    for field in fields:
        if getattr(request, field):
            raise Unsupported(
                f"A {backend} cluster cannot have {field}.", hint=hint or f"Leave {field} out.", field=field
            )


_T = TypeVar("_T")


def _convert(item: Mapping[str, Any], kind: type[_T], word: str) -> _T:
    given = {key: value for key, value in item.items() if value is not None}
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"The {word} {dict(item)} is not right: {error}.", value=dict(item)) from error
