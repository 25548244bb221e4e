"""Where built images are kept, and how a build knows that nothing has changed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from limani.errors import LimaniError

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

UNUSED_S = 3600
"""Results of other inputs that nobody has used for so long are removed."""

_SKIP = {"__pycache__", "_pb"}  # made from what is hashed anyway


def folder() -> Path:
    """``$XDG_CACHE_HOME/limani/images``, made if missing."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    path = Path(base).expanduser() / "limani" / "images"
    path.mkdir(parents=True, exist_ok=True)
    return path


def key(*parts: str | Path) -> str:
    """A short hash of texts and of files or whole folders (names and contents), for names of cached results."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(f"text {len(part)} {part}\n".encode())
            continue
        for path in _files(part):
            data = path.read_bytes()
            digest.update(f"file {path.relative_to(part.parent)} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:16]


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    files = (p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc" and not _SKIP.intersection(p.parts))
    return sorted(files)


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Only one process at a time builds a kind of image; the next one then finds it built."""
    with (folder() / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def found(target: Path) -> bool:
    """Whether a result is there; it then counts as just used."""
    try:
        os.utime(target)
    except FileNotFoundError:
        return False
    return True


def forget_older(pattern: str, keep: Path) -> None:
    """Remove what earlier inputs left behind under the same name pattern, unless it was used within the hour.

    Another checkout on this machine may be about to use it.
    """
    for path in folder().glob(pattern):
        if path != keep and time.time() - path.stat().st_mtime > UNUSED_S:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def report(what: str, build: Callable[[], Path]) -> int:
    """Build, and print the archive's path: the whole of a command. Returns its exit code."""
    try:
        print(build())
    except LimaniError as error:
        say(f"{what}: {error.message}\n  hint: {error.hint}")
        return 1
    return 0


def say(text: str) -> None:
    """A line of progress, on standard error: standard output is for results."""
    print(text, file=sys.stderr, flush=True)
