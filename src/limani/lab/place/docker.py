"""The Docker daemon the lessons use: one that is named, the machine's, or one of the lab's own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import msgspec

from limani.cluster.hosted import docker as hosted
from limani.cluster.native import backend as native
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.native.node import DOCKER_SOCKET
from limani.errors import BadInput, HostUnsuitable, LimaniError, RuntimeFailed, RuntimeUnavailable
from limani.lab import bundle
from limani.lab.place import home as homes
from limani.lab.place.daemon import OwnDocker

if TYPE_CHECKING:
    from docker import DockerClient

Kind = Literal["own", "machine", "node"]
Say = Callable[[str], None]
LOOPBACK = "127.0.0.1"
TIMEOUT_S = 30


@dataclass(frozen=True)
class DockerPlace:
    """A daemon that answers. ``host``: as DOCKER_HOST; ``address``: where published ports answer.

    ``kind``: own (made by the lab), machine, or node (of a native cluster made with ``--docker``).
    """

    host: str
    kind: Kind
    address: str
    home: Path


class _Record(msgspec.Struct):
    """What the home remembers. ``loaded``: image ID by name of what the lab brought."""

    host: str
    kind: Kind
    address: str
    loaded: dict[str, str] = {}


def docker_up(home: Path, wanted: str | None, say: Say) -> DockerPlace:
    """The lab's daemon, started if it is its own; chosen once and then kept until ``docker_down``.

    ``wanted``: a DOCKER_HOST, or one of the kinds own, machine and node, that must be used. Else it is that of the
    environment, or that of the docker command's context, or one of the lab's own (as root). Raises HostUnsuitable or
    RuntimeUnavailable saying why none can be had or the wanted one cannot be used, BadInput where another is in use.
    """
    record = homes.load(_file(home), _Record)
    if record is None:
        record = _choose(home, wanted, say)
        homes.save(_file(home), record)
    elif wanted not in (None, record.host, record.kind):
        raise BadInput(
            f"This lab uses the Docker at {record.host} ({record.kind}), not {wanted}.",
            hint="limani lab down ends it; then another Docker can be named.",
            host=record.host,
        )
    elif record.kind == "own":
        _start(home, say)
    else:
        _need(record.host)
    return _place(home, record)


def docker_status(home: Path) -> DockerPlace | None:
    """The daemon chosen before, running or not; None if there is none."""
    record = homes.load(_file(home), _Record)
    return _place(home, record) if record else None


def docker_down(home: Path) -> None:
    """End the lab's own daemon with all it holds; from another daemon remove the images the lab brought.

    Images in use by containers stay. Raises as ``client`` where that daemon does not answer.
    """
    record = homes.load(_file(home), _Record)
    if (home / "id").exists() and os.geteuid() == 0:
        _own(home).stop()
    if record and record.kind != "own" and record.loaded:
        with client(record.host) as docker:
            for reference, image_id in record.loaded.items():
                _remove(docker, reference, image_id)
    _file(home).unlink(missing_ok=True)


def load_docker(place: DockerPlace, images: Sequence[str]) -> None:
    """Bring images of the bundle (short or full names) to the daemon; only those that are not there.

    Raises what :func:`limani.lab.bundle.find` raises, BadInput for an unknown name, RuntimeFailed.
    """
    found = bundle.find()
    wanted = [found.image(name) for name in images]
    with client(place.host) as docker:
        missing = [
            image for image in wanted if _image_id(docker, image.reference) not in (image.image_id, image.digest)
        ]
        if not missing:
            return
        from docker.errors import DockerException

        for image in missing:  # an older one of that name
            _remove(docker, image.reference, None)
        try:
            docker.images.load(found.part(image.reference for image in missing))
        except DockerException as error:
            raise RuntimeFailed(f"Docker at {place.host} did not load the lab's images: {error}.") from error
        record = homes.load(_file(place.home), _Record)
        if record:
            for image in missing:  # newer daemons call the manifest's digest the image's ID
                record.loaded[image.reference] = _image_id(docker, image.reference) or image.image_id
            homes.save(_file(place.home), record)


@contextlib.contextmanager
def client(host: str) -> Iterator[DockerClient]:
    """A client of the daemon at a DOCKER_HOST. Raises HostUnsuitable or RuntimeUnavailable if it does not answer."""
    from docker import DockerClient
    from docker.errors import DockerException

    if host.startswith("unix://") and (problem := hosted.knock(Path(host.removeprefix("unix://")))):
        raise problem
    try:
        opened = DockerClient(base_url=host, timeout=TIMEOUT_S)
        opened.ping()
    except (DockerException, OSError, ValueError) as error:
        raise RuntimeUnavailable(
            f"Docker at {host} does not answer: {error}.",
            hint="Look whether it runs, or name another with --docker or DOCKER_HOST.",
            host=host,
        ) from error
    with contextlib.closing(opened):
        yield opened


def _choose(home: Path, wanted: str | None, say: Say) -> _Record:
    if wanted == "node":
        return _any_node()
    named = wanted if wanted not in (None, "own", "machine") else os.environ.get("DOCKER_HOST")
    if named and wanted != "own":
        _need(named)
        return _classify(named)
    if wanted != "own":
        try:
            hosted.DOCKER.check()
            host = hosted.address()
            _need(host)
            return _classify(host)
        except LimaniError:  # no docker command, or nobody answers
            if wanted == "machine":
                raise
    _start(home, say)
    return _Record(_own(home).host, "own", LOOPBACK)


def _any_node() -> _Record:
    """Docker of the first node that runs one."""
    for host, address in _nodes():
        _need(host)
        return _Record(host, "node", address)
    raise HostUnsuitable(
        "No node of a native cluster of this machine runs Docker.",
        hint="limani cluster create NAME --docker makes a cluster whose nodes do.",
    )


def _nodes() -> Iterator[tuple[str, str]]:
    """(DOCKER_HOST, the node's address) of every native cluster's node with Docker that is up."""
    for name in native.names():
        with contextlib.suppress(LimaniError):  # not readable, or the node is down
            cluster = NativeCluster.open(name)
            for node in cluster.spec.node_list if cluster.spec.docker else ():
                yield f"unix://{cluster.socket(node.name, DOCKER_SOCKET)}", node.address


def _classify(host: str) -> _Record:
    """Whose daemon it is, and where its published ports answer."""
    parts = urlsplit(host)
    if parts.scheme in ("tcp", "http", "https", "ssh"):
        return _Record(host, "machine", parts.hostname or LOOPBACK)
    for node, address in _nodes():
        if node == host:
            return _Record(host, "node", address)
    return _Record(host, "machine", os.environ.get("LIMANI_DOCKER_ADDRESS") or LOOPBACK)


def _need(host: str) -> None:
    with client(host):
        pass


def _start(home: Path, say: Say) -> None:
    own = _own(home)
    if own.process is None:
        say("Starting a Docker daemon of the lab's own")
    own.start()


def _own(home: Path) -> OwnDocker:
    return OwnDocker(homes.identity(home))


def _file(home: Path) -> Path:
    return home / "docker.json"


def _place(home: Path, record: _Record) -> DockerPlace:
    return DockerPlace(record.host, record.kind, record.address, home)


def _image_id(docker: DockerClient, reference: str) -> str | None:
    from docker.errors import ImageNotFound

    try:
        return str(docker.images.get(reference).id)
    except ImageNotFound:
        return None


def _remove(docker: DockerClient, reference: str, image_id: str | None) -> None:
    """Remove a name (only if it still means ``image_id``, where that is given) and the image, unless it is in use."""
    from docker.errors import APIError

    if image_id and _image_id(docker, reference) != image_id:
        return
    try:
        docker.images.remove(reference)
    except APIError as error:
        if error.status_code not in (404, 409):  # there is none, or a container uses it
            raise RuntimeFailed(f"Docker did not remove {reference}: {error}.") from error
