"""What the places of a lab keep in its home folder: who it is, and what it made or uses."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


def identity(home: Path) -> str:
    """The lab's id: eight random hexadecimal digits, drawn once for a home and kept as long as the home is."""
    path = home / "id"
    try:
        return path.read_text()
    except FileNotFoundError:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = _temporary(path, secrets.token_hex(4).encode())
    try:
        os.link(fresh, path)  # of two at once only one can; both then read the same
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text()


def save(path: Path, value: object) -> None:
    """Write ``value`` as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _temporary(path, msgspec.json.format(msgspec.json.encode(value))).replace(path)


def load(path: Path, kind: type[T]) -> T | None:
    """What ``save`` wrote there; None if there is nothing or it cannot be read (then it has to be made again)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _temporary(path: Path, data: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return Path(name)
