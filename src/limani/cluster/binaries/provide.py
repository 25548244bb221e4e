"""Finding the binaries: a folder that was named, the cache, a download, a compiler; the first that works."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from limani.cluster import paths
from limani.cluster.binaries import compile as compiler
from limani.cluster.binaries import download
from limani.cluster.binaries.groups import NAMES, versions
from limani.errors import BinariesUnavailable

Progress = Callable[[str], None]


def provide(
    folder: str | None, kubernetes: str | None, *, mirror: str | None = None, progress: Progress
) -> tuple[Path, str]:
    """(Folder with all binaries, version of Kubernetes), at once from the cache, or after minutes.

    ``folder``: take these and look no further. ``mirror``: download from there and do not compile instead.
    Raises :class:`BinariesUnavailable`.
    """
    wanted = versions(kubernetes)
    if folder is not None:
        return _named(Path(folder)), wanted["kubernetes"]
    target = cache_folder(wanted)
    if not target.exists():
        with _locked(target.with_name(f"{target.name}.lock"), progress):
            # Whoever held the lock before may have done it.
            if not target.exists():
                _fill(target, wanted, mirror, progress)
    return target, wanted["kubernetes"]


def missing(folder: Path) -> list[str]:
    """Names of the binaries that a folder lacks."""
    return [name for name in NAMES if not os.access(folder / name, os.X_OK)]


def cache_folder(wanted: dict[str, str]) -> Path:
    """Where binaries of these versions are kept."""
    return paths.cache_root() / "binaries" / "_".join(f"{name}-{wanted[name]}" for name in sorted(wanted))


def _named(folder: Path) -> Path:
    folder = folder.expanduser().resolve()
    if lacking := missing(folder):
        raise BinariesUnavailable(
            f"The folder {folder} lacks {', '.join(lacking)}.",
            hint="Give a folder with all of them, or leave --binaries out.",
            folder=str(folder),
            missing=lacking,
        )
    return folder


def _fill(target: Path, wanted: dict[str, str], mirror: str | None, progress: Progress) -> None:
    """Fill the cache; what an interrupted attempt brought is kept and used by the next."""
    partial = target.with_name(f"{target.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    if mirror is not None:
        download.download_all(partial, wanted, mirror, progress)
    elif download.reachable(wanted, None):
        download.download_all(partial, wanted, None, progress)
    elif compiler.can_compile():
        progress("The projects' releases cannot be reached; compiling them takes about ten minutes once")
        compiler.compile_all(partial, wanted, progress)
    else:
        raise BinariesUnavailable(
            "The cluster's binaries are not here: their releases (dl.k8s.io, github.com) cannot be reached, and there "
            "is no Go to compile them.",
        )
    partial.rename(target)


@contextlib.contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    """Only one process fills the cache; another one waits for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Another run is getting the cluster's binaries; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
