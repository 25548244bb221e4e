"""Only one process at a time changes a cluster, or chooses names and networks for a new one (flock(2))."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from limani.cluster import paths


@contextlib.contextmanager
def machine_lock() -> Iterator[None]:
    """Held while names, networks and settings of the machine are chosen or given back."""
    with _locked(paths.RUN_ROOT / "lock"):
        yield


@contextlib.contextmanager
def cluster_lock(name: str) -> Iterator[None]:
    """Held while one cluster is created, deleted, or a node is switched.

    Its file goes with the cluster: it is removed when there is none of that name in the end.
    """
    path = paths.RUN_ROOT / f"{name}.lock"
    with _locked(path):
        try:
            yield
        finally:
            if not (paths.state_root() / name / "spec.json").exists():
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Whoever held it before may have removed the file; then this lock protects nothing.
            if _same(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
