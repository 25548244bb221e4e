"""The files inside an archive that can only be read from its beginning.

That is one packed with gzip or zstd, or the export of a runtime. A first pass notes what there is and keeps the small
documents; later reads go forward from where the last one stopped, so files asked for in the archive's order cost one
more pass in all. No temporary file, flat memory.
"""

from __future__ import annotations

import hashlib
import threading

from limani.errors import ArchiveInvalid, LimitExceeded
from limani.image import media
from limani.image.members import Index, Reader, check_document, missing
from limani.image.tarstream import Member, TarStream
from limani.image.unpack import Limits, Opener, Unpacked, compression_of

_PIECE = 1 << 20
_IDLE = 2


class StreamMembers:
    """Files of a stream ``opener`` opens again and again. ``from_file``: errors of reading are the file's fault."""

    def __init__(self, opener: Opener, origin: str, limits: Limits, *, from_file: bool) -> None:
        self._opener, self._origin, self._limits, self._from_file = opener, origin, limits, from_file
        self._index = Index(origin)
        self._documents: dict[str, bytes] = {}
        self._compressions: dict[str, media.Compression] = {}
        self._digests: dict[str, str] = {}
        self._kept = 0
        self._idle: list[Cursor] = []
        self._lock = threading.Lock()
        self._closed = False
        self._read_index()

    def size(self, name: str) -> int | None:
        member = self._index.find(name)
        return member.size if member else None

    def document(self, name: str) -> bytes:
        member = self._index.get(name)
        check_document(self._origin, name, member.size, self._limits)
        if member.name not in self._documents:
            raise ArchiveInvalid(f"{name[:200]!r} in the {self._origin} is not JSON.", member=name[:200])
        return self._documents[member.name]

    def compression(self, name: str) -> media.Compression:
        return self._compressions[self._index.get(name).name]

    def sha256(self, name: str) -> str:
        name = self._index.get(name).name
        if name not in self._digests:
            self._digests[name] = self._hash(name)
        return self._digests[name]

    def open(self, name: str, offset: int) -> Reader:
        member = self._index.get(name)
        cursor = self._take(member) or self._new_cursor()
        try:
            if not cursor.seek(member.name):
                # The stream is in another order than before: look once from its beginning.
                cursor.close()
                cursor = self._new_cursor()
                if not cursor.seek(member.name):
                    raise missing(self._origin, name)
            cursor.walk.skip(offset)
        except BaseException:
            cursor.close()
            raise
        return _StreamReader(self, cursor)

    def give_back(self, cursor: Cursor) -> None:
        """Keep a cursor for later reads; closes those that are too many."""
        with self._lock:
            if self._closed:
                surplus = [cursor]
            else:
                self._idle.append(cursor)
                surplus, self._idle = self._idle[:-_IDLE], self._idle[-_IDLE:]
        for old in surplus:
            old.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for cursor in idle:
            cursor.close()

    def _take(self, member: Member) -> Cursor | None:
        """The idle cursor that stands nearest before ``member``."""
        with self._lock:
            before = [cursor for cursor in self._idle if cursor.order < member.order]
            best = max(before, key=lambda cursor: cursor.order, default=None)
            if best:
                self._idle.remove(best)
            return best

    def _new_cursor(self) -> Cursor:
        return Cursor(
            Unpacked(self._opener, self._origin, self._limits, from_file=self._from_file), self._origin, self._limits
        )

    def _read_index(self) -> None:
        cursor = self._new_cursor()
        try:
            while member := cursor.walk.next():
                self._index.add(member)
                if member.kind == "file":
                    self._note(member, cursor.walk)
            cursor.stream.drain()
        finally:
            cursor.close()

    def _note(self, member: Member, walk: TarStream) -> None:
        head = walk.read(64)
        compression = compression_of(head)
        self._compressions[member.name] = compression
        if member.size <= self._limits.document and head.lstrip()[:1] in (b"{", b"["):
            self._kept += member.size
            if self._kept > self._limits.documents:
                raise LimitExceeded(
                    f"The JSON documents in the {self._origin} have more than {self._limits.documents} bytes"
                    " (limit: documents).",
                    limit=self._limits.documents,
                )
            self._documents[member.name] = head + _rest(walk)
        elif compression and not member.name.startswith("blobs/"):
            # A packed layer of a docker-archive: nothing in the archive says its digest.
            found = hashlib.sha256(head)
            while piece := walk.read(_PIECE):
                found.update(piece)
            self._digests[member.name] = f"sha256:{found.hexdigest()}"

    def _hash(self, name: str) -> str:
        found = hashlib.sha256()
        reader = self.open(name, 0)
        try:
            while piece := reader.read(_PIECE):
                found.update(piece)
        finally:
            reader.close()
        return f"sha256:{found.hexdigest()}"


class Cursor:
    """One pass over the stream. ``order``: of the entry it stands at, -1 before the first."""

    def __init__(self, stream: Unpacked, origin: str, limits: Limits) -> None:
        self.stream = stream
        self.walk = TarStream(stream, origin, limits)
        self.order = -1

    def seek(self, name: str) -> bool:
        """Go forward to the file ``name``; false where it does not come any more."""
        while member := self.walk.next():
            self.order = member.order
            if member.name == name and member.kind == "file":
                return True
        return False

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()


class _StreamReader:
    """The data of the entry a cursor stands at; the cursor goes back to its owner afterwards."""

    def __init__(self, owner: StreamMembers, cursor: Cursor) -> None:
        self._owner, self._cursor = owner, cursor
        self._state = threading.Lock()
        self._busy = self._closed = self._failed = False

    def read(self, size: int) -> bytes:
        with self._state:
            if self._closed:
                return b""
            self._busy = True
        try:
            return self._cursor.walk.read(size)
        except BaseException:
            self._failed = True
            raise
        finally:
            self._leave()

    def close(self) -> None:
        with self._state:
            if self._closed:
                return
            self._closed = True
            if not self._busy:
                self._release()

    def _leave(self) -> None:
        """Give the cursor back where ``close`` could not since a read was under way."""
        with self._state:
            self._busy = False
            if self._closed:
                self._release()

    def _release(self) -> None:
        if self._failed:
            self._cursor.close()
        else:
            self._owner.give_back(self._cursor)


def _rest(walk: TarStream) -> bytes:
    pieces = []
    while piece := walk.read(_PIECE):
        pieces.append(piece)
    return b"".join(pieces)
