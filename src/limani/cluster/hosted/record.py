"""Which clusters of kind and minikube are Limani's, and their kubeconfigs.

What another program made belongs to its user until Limani is told to adopt it; without a record nothing of a cluster
is changed. Records are beside the native clusters, in folders whose names no native cluster can have.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import msgspec

from limani.cluster import paths
from limani.cluster.hosted.options import HostedRequest
from limani.cluster.spec import check_name
from limani.errors import ClusterUnknown, HostUnsuitable


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster that is Limani's. ``adopted``: another program made it."""

    backend: str
    request: HostedRequest
    adopted: bool = False
    format: int = 1


def folder(backend: str, name: str) -> Path:
    """The folder of a cluster's record, kubeconfig and files for its nodes."""
    return root(backend) / check_name(name)


def root(backend: str) -> Path:
    """The folder of all records of a backend: the state folder, or without root the user's own (XDG_STATE_HOME)."""
    if os.environ.get("LIMANI_STATE_DIR") or os.geteuid() == 0:
        base = paths.state_root()
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "limani/clusters"
    return base / f".{backend}"


def load(backend: str, name: str) -> Record | None:
    """The record of a cluster, or None if it is not Limani's."""
    try:
        return msgspec.json.decode((folder(backend, name) / "record.json").read_bytes(), type=Record)
    except FileNotFoundError:
        return None


def save(name: str, record: Record) -> None:
    """Write a record. Raises :class:`HostUnsuitable` where the folder cannot be written."""
    path = prepare(record.backend, name) / "record.json"
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    part.replace(path)


def prepare(backend: str, name: str) -> Path:
    """The cluster's folder, made if missing."""
    path = folder(backend, name)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise HostUnsuitable(
            f"The folder {path} cannot be made: {error.strerror}.",
            hint="Name another folder for the state of lab clusters in LIMANI_STATE_DIR.",
        ) from error
    return path


def forget(backend: str, name: str) -> bool:
    """Remove a cluster's record and files; false if there was nothing."""
    path = folder(backend, name)
    if not path.exists():
        return False
    shutil.rmtree(path)
    with contextlib.suppress(OSError):  # others have records there
        path.parent.rmdir()
    return True


def kubeconfig(backend: str, name: str) -> Path:
    """Path of the kubeconfig Limani keeps for the cluster. Raises :class:`ClusterUnknown` if there is none."""
    path = folder(backend, name) / "kubeconfig"
    if not path.exists():
        raise ClusterUnknown(f"Limani knows of no {backend} cluster {name!r}.", name=name)
    return path
