"""The cluster the lessons use: one the lab makes, or an existing one it was told to use.

A ConfigMap in the cluster names the labs that may use it by their random ids. Before anything is changed in a cluster
``verify`` looks for this lab's id there, so a kubeconfig that has come to point elsewhere does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from limani.cluster import backend as natives
from limani.cluster import task
from limani.cluster.backend import Backend
from limani.cluster.command import run
from limani.cluster.hosted import base as hosted
from limani.cluster.hosted.base import HostedBackend
from limani.cluster.native.cluster import NativeCluster
from limani.errors import BadInput, ClusterUnknown, KubeError, KubeUnreachable, LimaniError, NotTheLab
from limani.kube.session import KubeSession
from limani.lab import bundle
from limani.lab.own_kube import write_kubeconfig
from limani.lab.place import home as homes
from limani.lab.place import marker, programs
from limani.lab.world import CONTEXT

Say = Callable[[str], None]
T = TypeVar("T")
NODES = 2
TIMEOUT_S = 600.0
VARIABLE = "LIMANI_LAB_CLUSTER"
"""Names an existing cluster to use instead of making one."""
NATIVE = "native"
BACKENDS = (NATIVE, *hosted.BACKENDS)


@dataclass(frozen=True)
class ClusterPlace:
    """A cluster. ``kubeconfig``: the lab's own copy, whose only ``context`` is the administrator's of this cluster.

    ``marker``: the lab's id in the cluster's ConfigMap.
    """

    name: str
    backend: str
    kubeconfig: Path
    context: str
    marker: str
    home: Path


class _Record(msgspec.Struct):
    """What the home remembers. ``made``: by the lab, so it is deleted with it; ``ready``: made to the end.

    ``loaded``: digest by name of the images the lab brought.
    """

    name: str
    backend: str
    made: bool
    ready: bool = False
    loaded: dict[str, str] = {}


def cluster_up(home: Path, *, backend: str | None = None, name: str | None = None, say: Say) -> ClusterPlace:
    """The lab's cluster, running and marked; made if there is none yet, mended if it does not run.

    ``backend``: native (default), kind or minikube. ``name`` (or LIMANI_LAB_CLUSTER): an existing cluster to use; it
    stays when the lab goes. Raises BadInput where the lab uses another, NotTheLab, and what making a cluster raises.
    """
    if backend not in (None, *BACKENDS):
        raise BadInput(f"There is no backend {backend!r}, only {', '.join(BACKENDS)}.", backend=backend)
    named = name or os.environ.get(VARIABLE)
    record = homes.load(_file(home), _Record)
    if record is None:
        record = _chosen(home, backend, named)
        homes.save(_file(home), record)
    elif (backend and backend != record.backend) or (name and name != record.name):
        raise BadInput(
            f"This lab uses the {record.backend} cluster {record.name}.",
            hint="limani lab down ends it; then another cluster can be had.",
        )
    _run(record, say)
    place = _place(home, record)
    _copy_kubeconfig(_backend(record.backend).kubeconfig(record.name), place.kubeconfig)
    programs.provide_kubectl(home, record.backend, record.name)
    if not record.ready:
        _ask(place, lambda session: marker.add(session, place.marker))
        record.ready = True
        homes.save(_file(home), record)
    verify(place)
    return place


def cluster_status(home: Path) -> ClusterPlace | None:
    """The cluster chosen before, running or not; None if there is none."""
    record = homes.load(_file(home), _Record)
    return _place(home, record) if record else None


def cluster_down(home: Path) -> None:
    """Delete the cluster if the lab made it; else only take the lab's id out of it."""
    record = homes.load(_file(home), _Record)
    if record:
        place = _place(home, record)
        if record.made:
            _backend(record.backend).delete(record.name)
        elif record.ready and record.name in _backend(record.backend).names():
            with contextlib.suppress(NotTheLab):  # it has nothing of ours
                verify(place)
                _ask(place, lambda session: marker.remove(session, place.marker))
        place.kubeconfig.unlink(missing_ok=True)
    programs.forget_kubectl(home)
    _file(home).unlink(missing_ok=True)


def load_cluster(place: ClusterPlace, images: Sequence[str]) -> None:
    """Bring images of the bundle (short or full names) to all nodes; only those a node lacks.

    Raises what :func:`limani.lab.bundle.find` raises, BadInput for an unknown name, CommandFailed.
    """
    found = bundle.find()
    wanted = [found.image(name) for name in images]
    record = homes.load(_file(place.home), _Record)
    if record is None:
        raise ClusterUnknown("The lab has no cluster.", hint="limani lab start LESSON makes one.")
    held = _on_native(place.name) if place.backend == NATIVE else _ask(place, _told_by_nodes)
    brought = held if place.backend == NATIVE else record.loaded
    missing = [i for i in wanted if i.reference not in held or brought.get(i.reference) != i.digest]
    if not missing:
        return
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        archive.write(found.part(image.reference for image in missing))
        archive.flush()
        _backend(place.backend).load(place.name, Path(archive.name))
    record.loaded |= {image.reference: image.digest for image in missing}
    homes.save(_file(place.home), record)


def verify(place: ClusterPlace) -> None:
    """Raise NotTheLab unless the cluster the kubeconfig leads to has this lab's id; KubeUnreachable if none answers."""
    try:
        marked = _ask(place, lambda session: marker.has(session, place.marker))
    except KubeUnreachable:
        raise
    except KubeError as error:
        raise _not_ours(place, error.message) from error
    if not marked:
        raise _not_ours(place, "it does not have the lab's mark")


def _not_ours(place: ClusterPlace, why: str) -> NotTheLab:
    return NotTheLab(
        f"The cluster behind {place.kubeconfig} is not this lab's ({why}); nothing was changed there.",
        hint="limani lab down forgets it; then limani lab start LESSON makes a cluster of the lab's own.",
        cluster=place.name,
    )


def _chosen(home: Path, backend: str | None, named: str | None) -> _Record:
    """An existing cluster if one is named, else a new one of the lab's own."""
    if named is None:
        return _Record(f"lab-{homes.identity(home)}", backend or NATIVE, made=True)
    for kind in (backend,) if backend else BACKENDS:
        with contextlib.suppress(*(() if backend else (LimaniError,))):  # kind or minikube cannot be used here
            if named in _backend(kind).names():
                return _Record(named, kind, made=False)
    raise ClusterUnknown(
        f"There is no cluster {named!r} for the lab to use.",
        hint="limani cluster list shows what exists; without a name the lab makes one.",
        name=named,
    )


def _run(record: _Record, say: Say) -> None:
    """Make the lab's cluster, or start what is down of one that exists."""
    backend = _backend(record.backend)
    there = record.name in backend.names()
    if there and record.made and not record.ready:  # its making was interrupted
        backend.delete(record.name)
        there = False
    if not there:
        if not record.made:
            raise ClusterUnknown(f"The cluster {record.name} is gone.", hint="limani lab down forgets it.")
        say(f"Making a {record.backend} cluster of {NODES} nodes for the lab")
        record.ready, record.loaded = False, {}
        wanted = {"name": record.name, "backend": record.backend, "nodes": NODES, "timeout": TIMEOUT_S}
        task.lab_cluster(wanted, check=False, progress=say)
        return
    status = backend.status(record.name)
    if status.state == "running":
        return
    say(f"Mending the cluster {record.name}")
    if record.backend == NATIVE:
        natives.get(NATIVE).repair(record.name, progress=say)
    else:
        hosted.get(record.backend).start(record.name)


def _backend(kind: str) -> Backend | HostedBackend:
    return natives.get(kind) if kind == NATIVE else hosted.get(kind)


def _copy_kubeconfig(source: Path, target: Path) -> None:
    context = yaml.safe_load(source.read_text(encoding="utf-8"))["current-context"]
    write_kubeconfig(target, source, context, None)


def _on_native(name: str) -> dict[str, str]:
    """Digest by name of the images that are the same on every node, as containerd has them."""
    cluster = NativeCluster.open(name)
    command = [f"{cluster.spec.binaries}/ctr", "--namespace", "k8s.io", "images", "list"]
    found: set[tuple[str, str]] | None = None
    for node in cluster.spec.node_list:
        lines = run([*command[:1], "--address", str(cluster.socket(node.name)), *command[1:]]).splitlines()
        images = {(fields[0], fields[2]) for fields in map(str.split, lines[1:]) if len(fields) > 2}
        found = images if found is None else found & images
    return dict(found or ())


async def _told_by_nodes(session: KubeSession) -> dict[str, str]:
    """Names of the images every node has, as the nodes tell (some seconds late, and without digests)."""
    found: set[str] | None = None
    for node in (await session.get("/api/v1/nodes"))["items"]:
        names = {name for image in node["status"].get("images", ()) for name in image.get("names") or ()}
        found = names if found is None else found & names
    return dict.fromkeys(found or (), "")


def _ask(place: ClusterPlace, work: Callable[[KubeSession], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with KubeSession.open(str(place.kubeconfig), place.context) as session:
            return await work(session)

    return asyncio.run(asked())


def _file(home: Path) -> Path:
    return home / "cluster.json"


def _place(home: Path, record: _Record) -> ClusterPlace:
    return ClusterPlace(record.name, record.backend, home / "cluster.kubeconfig", CONTEXT, homes.identity(home), home)
