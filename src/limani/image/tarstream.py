"""Walking through a tar archive once, header by header, trusting nothing in it.

POSIX.1-2001 pax interchange format and GNU tar's long names. Entries that leave the archive's root, by name or by
link, are refused at once; so is an archive without the two zero blocks at its end, since it was cut off.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from typing import Literal, Protocol

from limani.errors import ArchiveInvalid, LimitExceeded
from limani.image.unpack import Limits

_BLOCK = 512
_MAX_HEADER = 1 << 20
_SKIP = 1 << 20
Kind = Literal["file", "link", "other"]


@dataclass(frozen=True, slots=True)
class Member:
    """An entry. ``offset``: where its data begin in the tar; ``order``: 0, 1, ...; ``target``: what a link means."""

    name: str
    kind: Kind
    size: int
    offset: int
    order: int
    target: str = ""


class TarInput(Protocol):
    """What a tar is read from."""

    def read(self, size: int, /) -> bytes: ...


class SeekableInput(TarInput, Protocol):
    """The same, where skipping is free."""

    def seek(self, offset: int, /) -> object: ...


class TarStream:
    """A forward walk: ``next`` gives the next entry, ``read`` the data of the entry it gave last.

    ``seekable``: the same input again if it can seek (skipping then reads nothing), with ``total`` its size in bytes.
    """

    def __init__(
        self,
        source: TarInput,
        origin: str,
        limits: Limits,
        seekable: SeekableInput | None = None,
        total: int | None = None,
    ) -> None:
        self._source, self._seekable, self._total = source, seekable, total
        self._origin, self._limits = origin, limits
        self._at = 0
        self._left = 0  # unread data bytes of the current entry
        self._padding = 0
        self._headers = 0
        self._count = 0

    def next(self) -> Member | None:
        """The next entry, None at the end. Raises ArchiveInvalid, LimitExceeded."""
        self._skip(self._left + self._padding)
        self._left = self._padding = 0
        extended: dict[str, str] = {}
        while True:
            info = self._header()
            if info is None:
                return None
            self._headers += 1
            if self._headers > 3 * self._limits.entries:  # entries may have up to two extended headers each
                raise self._too_many()
            size = self._data_size(info, extended)
            if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                extended.update(self._pax(self._payload(info, size)))
            elif info.type == tarfile.XGLTYPE:
                self._payload(info, size)
            elif info.type == tarfile.GNUTYPE_LONGNAME:
                extended.setdefault("path", self._text(self._payload(info, size)))
            elif info.type == tarfile.GNUTYPE_LONGLINK:
                extended.setdefault("linkpath", self._text(self._payload(info, size)))
            else:
                return self._member(info, size, extended)

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes of the current entry's data, empty at its end. Raises ArchiveInvalid when cut off."""
        size = min(size, self._left)
        if size == 0:
            return b""
        data = self._exactly(size)
        self._left -= size
        return data

    def skip(self, size: int) -> None:
        """Leave out up to ``size`` bytes of the current entry's data."""
        size = min(size, self._left)
        self._skip(size)
        self._left -= size

    def _header(self) -> tarfile.TarInfo | None:
        at = self._at
        block = self._exactly(_BLOCK)
        if not any(block):
            if any(self._exactly(_BLOCK)):
                raise ArchiveInvalid(f"The {self._origin} is damaged: an empty block at byte {at} is not at its end.")
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as error:
            if at == 0:
                raise ArchiveInvalid(f"The {self._origin} is not a tar archive.") from error
            raise ArchiveInvalid(
                f"The {self._origin} is damaged: the entry header at byte {at} is not valid."
            ) from error

    def _data_size(self, info: tarfile.TarInfo, extended: dict[str, str]) -> int:
        """The length of what follows the header; links and folders have nothing, whatever their size field says."""
        if info.type in (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE):
            return 0
        text = extended.get("size", str(info.size))
        if not text.isascii() or not text.isdecimal() or len(text) > 18:
            raise ArchiveInvalid(
                f"The {self._origin} is damaged: entry {info.name[:200]!r} has the size {text[:40]}.", member=info.name
            )
        return int(text)

    def _member(self, info: tarfile.TarInfo, size: int, extended: dict[str, str]) -> Member:
        if self._count >= self._limits.entries:
            raise self._too_many()
        if self._total is not None and self._at + size > self._total:
            raise self._cut_off()
        raw_name = extended.get("path", info.name)
        name = self._inside(raw_name, raw_name)
        kind: Kind = "other"
        target = ""
        if any(key.startswith("GNU.sparse.") for key in extended) or info.type == tarfile.GNUTYPE_SPARSE:
            raise ArchiveInvalid(
                f"The {self._origin} stores {name!r} as a sparse file, which images never do.", member=name
            )
        if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE):
            kind = "file"
        elif info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            kind = "link"
            link = extended.get("linkpath", info.linkname)
            if info.type == tarfile.SYMTYPE and not link.startswith("/"):
                link = f"{name.rpartition('/')[0]}/{link}".removeprefix("/")
            target = self._inside(link, raw_name)
        member = Member(name, kind, size, self._at, self._count, target)
        self._count += 1
        self._left, self._padding = size, -size % _BLOCK
        return member

    def _inside(self, path: str, name: str) -> str:
        """``path`` without ``.`` and ``..`` parts; raises ArchiveInvalid where it leaves the root of the archive."""
        parts: list[str] = []
        outside = path.startswith("/") or "\0" in path
        for part in path.split("/"):
            if part == ".." and (path == name or not parts):
                outside = True
            elif part == "..":
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        if outside:
            what = f"entry {name[:200]!r}" + ("" if path == name else f" is a link to {path[:200]!r}, which")
            raise ArchiveInvalid(
                f"The {self._origin} is not safe: {what} leads out of the archive.",
                hint="Do not trust this file. Make the archive again with docker save or skopeo copy.",
                member=name[:200],
            )
        return "/".join(parts)

    def _pax(self, payload: bytes) -> dict[str, str]:
        """The records ``length key=value`` of an extended header that matter here."""
        found: dict[str, str] = {}
        at = 0
        while at < len(payload):
            digits, space, _ = payload[at : at + 20].partition(b" ")
            length = int(digits) if space and digits.isdigit() else 0
            record = payload[at : at + length]
            key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
            if not equals or not record.endswith(b"\n") or len(record) != length:
                raise ArchiveInvalid(f"The {self._origin} is damaged: the extended header before byte {self._at}.")
            name = key.decode("utf-8", "replace")
            if name in ("path", "linkpath", "size") or name.startswith("GNU.sparse."):
                found[name] = value.decode("utf-8", "surrogateescape")
            at += length
        return found

    def _payload(self, info: tarfile.TarInfo, size: int) -> bytes:
        if size > _MAX_HEADER:
            raise LimitExceeded(f"The {self._origin} has an extended header of {size} bytes; at most {_MAX_HEADER}.")
        data = self._exactly(size)
        self._exactly(-size % _BLOCK)
        return data

    @staticmethod
    def _text(payload: bytes) -> str:
        return payload.rstrip(b"\0").decode("utf-8", "surrogateescape")

    def _exactly(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            if self._at == 0 and not data:
                raise ArchiveInvalid(f"The {self._origin} is empty.")
            raise self._cut_off()
        self._at += size
        return data

    def _skip(self, size: int) -> None:
        if self._seekable is not None:
            self._at += size
            if size:
                self._seekable.seek(self._at)
            return
        while size:
            size -= len(self._exactly(min(size, _SKIP)))

    def _cut_off(self) -> ArchiveInvalid:
        return ArchiveInvalid(
            f"The {self._origin} is cut off: it ends in the middle of an entry or before its end mark."
        )

    def _too_many(self) -> LimitExceeded:
        limit = self._limits.entries
        return LimitExceeded(f"The {self._origin} has more than {limit} entries (limit: entries).", limit=limit)
