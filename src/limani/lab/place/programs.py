"""The programs a learner types: where they are, and a folder for the PATH that makes kubectl found."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from limani.cluster.binaries import versions
from limani.cluster.binaries.provide import cache_folder
from limani.cluster.native.cluster import NativeCluster
from limani.errors import HostUnsuitable

KUBECTL = "kubectl"


def folder(home: Path) -> Path:
    """What to put in front of the PATH."""
    return home / "bin"


def provide_kubectl(home: Path, backend: str, cluster: str) -> None:
    """Make ``kubectl`` found in ``folder``: that of a native cluster's own binaries, else the machine's.

    Raises HostUnsuitable where there is none.
    """
    found = _of_native(cluster) if backend == "native" else find_kubectl()
    if found is None:
        raise HostUnsuitable(
            "There is no kubectl on this machine; the lessons on clusters are about it.",
            hint="Install kubectl (https://kubernetes.io/docs/tasks/tools) where PATH finds it, then run again.",
        )
    link = folder(home) / KUBECTL
    if str(found) == str(link) or (link.is_symlink() and str(link.readlink()) == str(found)):
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{KUBECTL}.{os.getpid()}")
    fresh.symlink_to(found)
    fresh.replace(link)


def find_kubectl() -> Path | None:
    """The machine's kubectl, else that of the cached binaries of native clusters."""
    cached = cache_folder(versions()) / KUBECTL
    machine = shutil.which(KUBECTL)
    return Path(machine) if machine else cached if os.access(cached, os.X_OK) else None


def forget_kubectl(home: Path) -> None:
    """Undo ``provide_kubectl``."""
    (folder(home) / KUBECTL).unlink(missing_ok=True)


def _of_native(cluster: str) -> Path:
    return Path(NativeCluster.open(cluster).spec.binaries) / KUBECTL
