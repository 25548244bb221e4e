"""The files inside an archive, by name: in a tar on disk, in a stream that can only be read again, in a folder.

All of this blocks; ``limani.image.archive`` calls it from threads. Names are relative paths without ``.`` parts.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from limani.errors import ArchiveInvalid, LimitExceeded
from limani.image import media
from limani.image.tarstream import Member, TarStream
from limani.image.unpack import Limits, compression_of

_PIECE = 1 << 20
_LINKS = 16


class Reader(Protocol):
    """The content of one file. ``close`` never blocks and may be called while another thread is in ``read``."""

    def read(self, size: int) -> bytes: ...

    def close(self) -> None: ...


class Members(Protocol):
    """The files of an archive. Methods other than ``size`` raise ArchiveInvalid where there is no such file."""

    def size(self, name: str) -> int | None:
        """The size of a file in bytes, None if there is none of that name."""

    def document(self, name: str) -> bytes:
        """A small file; raises LimitExceeded where it is larger than a document may be."""

    def compression(self, name: str) -> media.Compression:
        """How a file is compressed, by its first bytes."""

    def sha256(self, name: str) -> str:
        """The digest of a file."""

    def open(self, name: str, offset: int) -> Reader:
        """Read a file from ``offset`` on."""

    def close(self) -> None:
        """Close what is open, readers excepted."""


class Index:
    """Entries by name, links resolved."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.entries: dict[str, Member] = {}

    def add(self, member: Member) -> None:
        known = self.entries.get(member.name)
        harmless = known and (known.kind == member.kind != "file") and known.target == member.target
        if known and not harmless:
            raise ArchiveInvalid(
                f"The {self.origin} has two entries {member.name[:200]!r}; which one is meant cannot be known.",
                member=member.name[:200],
            )
        self.entries[member.name] = member

    def find(self, name: str) -> Member | None:
        member = self.entries.get("/".join(part for part in name.split("/") if part not in ("", ".")))
        for _ in range(_LINKS):
            if member is None or member.kind == "file":
                return member
            if member.kind == "other":
                return None
            member = self.entries.get(member.target)
        raise ArchiveInvalid(
            f"The {self.origin} has links that never end at a file: {name[:200]!r}.", member=name[:200]
        )

    def get(self, name: str) -> Member:
        member = self.find(name)
        if member is None:
            raise missing(self.origin, name)
        return member


def missing(origin: str, name: str) -> ArchiveInvalid:
    """The error for a file that should be in an archive and is not."""
    return ArchiveInvalid(f"The {origin} lacks {name[:200]!r}, which it refers to.", member=name[:200])


def check_document(origin: str, name: str, size: int, limits: Limits) -> None:
    """Raises LimitExceeded where a file is larger than a document may be."""
    if size > limits.document:
        raise LimitExceeded(
            f"{name[:200]!r} in the {origin} has {size} bytes; the limit is {limits.document} (document).",
            member=name[:200],
            found=size,
            limit=limits.document,
        )


class FileReader:
    """A stretch of a file on disk."""

    def __init__(self, path: Path, start: int, size: int, origin: str, name: str) -> None:
        self._origin, self._name, self._left = origin, name, size
        self._state = threading.Lock()
        self._busy = self._closed = False
        try:
            self._file: BinaryIO = path.open("rb", buffering=0)
        except OSError as error:
            raise unreadable(origin, error) from error
        self._file.seek(start)

    def read(self, size: int) -> bytes:
        with self._state:
            if self._closed:
                return b""
            self._busy = True
        try:
            data = self._file.read(min(size, self._left))
        except OSError as error:
            raise unreadable(self._origin, error) from error
        finally:
            self._leave()
        if not data and self._left:
            raise ArchiveInvalid(f"{self._name[:200]!r} in the {self._origin} ends too early.", member=self._name[:200])
        self._left -= len(data)
        return data

    def close(self) -> None:
        with self._state:
            self._closed = True
            if not self._busy:
                self._file.close()

    def _leave(self) -> None:
        """Close the file where ``close`` could not since a read was under way."""
        with self._state:
            self._busy = False
            if self._closed:
                self._file.close()


def unreadable(origin: str, error: OSError) -> ArchiveInvalid:
    """The error for a path that cannot be read."""
    return ArchiveInvalid(
        f"The {origin} cannot be read: {error.strerror or error}.", hint="Check the path and its permissions."
    )


class _OnDisk:
    """What files on disk have in common: everything can be read at any place."""

    def __init__(self, origin: str, limits: Limits) -> None:
        self._origin, self._limits = origin, limits

    def _place(self, name: str) -> tuple[Path, int, int]:
        """Where a file is: path, offset, size."""
        raise NotImplementedError

    def open(self, name: str, offset: int) -> Reader:
        path, start, size = self._place(name)
        return FileReader(path, start + offset, max(size - offset, 0), self._origin, name)

    def document(self, name: str) -> bytes:
        check_document(self._origin, name, self._place(name)[2], self._limits)
        return b"".join(self._pieces(name))

    def compression(self, name: str) -> media.Compression:
        reader = self.open(name, 0)
        try:
            return compression_of(reader.read(4))
        finally:
            reader.close()

    def sha256(self, name: str) -> str:
        found = hashlib.sha256()
        for piece in self._pieces(name):
            found.update(piece)
        return f"sha256:{found.hexdigest()}"

    def close(self) -> None:
        """Nothing is kept open."""

    def _pieces(self, name: str) -> Iterator[bytes]:
        reader = self.open(name, 0)
        try:
            while piece := reader.read(_PIECE):
                yield piece
        finally:
            reader.close()


class TarFileMembers(_OnDisk):
    """A plain tar on disk: one pass over the headers, then any file at once."""

    def __init__(self, path: Path, origin: str, limits: Limits) -> None:
        super().__init__(origin, limits)
        self._path = path
        self._index = Index(origin)
        try:
            with path.open("rb") as file:
                walk = TarStream(file, origin, limits, file, os.fstat(file.fileno()).st_size)
                while member := walk.next():
                    self._index.add(member)
        except OSError as error:
            raise unreadable(origin, error) from error

    def size(self, name: str) -> int | None:
        member = self._index.find(name)
        return member.size if member else None

    def _place(self, name: str) -> tuple[Path, int, int]:
        member = self._index.get(name)
        return self._path, member.offset, member.size


class FolderMembers(_OnDisk):
    """An OCI image layout unpacked into a folder. Links that leave the folder are not followed."""

    def __init__(self, path: Path, origin: str, limits: Limits) -> None:
        super().__init__(origin, limits)
        self._path = path.resolve()

    def size(self, name: str) -> int | None:
        found = self._find(name)
        return found[1] if found else None

    def _place(self, name: str) -> tuple[Path, int, int]:
        found = self._find(name)
        if found is None:
            raise missing(self._origin, name)
        return found[0], 0, found[1]

    def _find(self, name: str) -> tuple[Path, int] | None:
        try:
            path = (self._path / name).resolve(strict=True)
            facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unreadable(self._origin, error) from error
        if not stat.S_ISREG(facts.st_mode):
            return None
        if not path.is_relative_to(self._path):
            raise ArchiveInvalid(f"{name!r} in the {self._origin} is a link that leads out of it.", member=name)
        return path, facts.st_size
