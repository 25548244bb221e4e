"""Opening an archive whatever it is packed with, and the limits on what it may hold.

The format is told by its first bytes, never by its name: gzip (RFC 1952), zstd (RFC 8878), else a plain tar.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import zstandard

from limani.errors import ArchiveInvalid, LimaniError, LimitExceeded, SourceUnavailable
from limani.image import media
from limani.image._wire import MAX_DOCUMENT
from limani.image.zstd import ZstdStream

_MAGIC: dict[bytes, media.Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_REFUSED = {b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may be at most.

    ``entries``: of the tar. ``document``, ``documents``: bytes of one JSON document and of all. ``unpacked``: bytes.
    ``ratio``: unpacked to packed, from ``ratio_from`` unpacked bytes on, since honest layers can be long runs of zeros.
    """

    entries: int = 10_000
    document: int = MAX_DOCUMENT
    documents: int = 32 << 20
    unpacked: int = 512 << 30
    ratio: int = 200
    ratio_from: int = 1 << 30


class Readable(Protocol):
    """A stream of bytes that can only be read on."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


Opener = Callable[[], Readable]
"""Opens a stream at its beginning; may be called several times and must give the same bytes each time."""


def is_packed(head: bytes) -> bool:
    """Whether a stream that begins with ``head`` (5 bytes) is compressed in any way known here, supported or not."""
    return head.startswith((*_MAGIC, *_REFUSED))


def compression_of(head: bytes) -> media.Compression:
    """How a stream that begins with ``head`` (4 bytes are enough) is compressed."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


class Unpacked:
    """The tar inside a possibly compressed stream. Every failure to read is a LimaniError that names the archive."""

    def __init__(self, opener: Opener, origin: str, limits: Limits, *, from_file: bool) -> None:
        self._origin, self._limits, self._from_file = origin, limits, from_file
        self._unpacked = 0
        with self._translated():
            self._raw = _Counted(opener())
        try:
            with self._translated():
                head = self._raw.peek(6)
                self.compression = compression_of(head)
                self._stream = self._decompressed(head)
        except BaseException:
            self._raw.close()
            raise

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end of the stream."""
        pieces: list[bytes] = []
        with self._translated():
            while size > 0 and (piece := self._stream.read(size)):
                pieces.append(piece)
                size -= len(piece)
                self._unpacked += len(piece)
        self._check_size()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def drain(self) -> None:
        """Read to the end, so that what protects the stream as a whole (gzip's checksum and length) is checked."""
        while self.read(1 << 20):
            pass

    def close(self) -> None:
        """Close the stream and what it is read from."""
        if self._stream is not self._raw:
            self._stream.close()
        self._raw.close()

    def _decompressed(self, head: bytes) -> Readable:
        if self.compression == "gzip":
            return cast("Readable", gzip.GzipFile(fileobj=self._raw))
        if self.compression == "zstd":
            return ZstdStream(self._raw)
        for magic, name in _REFUSED.items():
            if head.startswith(magic):
                raise ArchiveInvalid(
                    f"The {self._origin} is packed with {name}, which is not supported.",
                    hint="Unpack it first, or pack it with gzip or zstd.",
                )
        return self._raw

    def _check_size(self) -> None:
        limits = self._limits
        if self._unpacked > limits.unpacked:
            raise LimitExceeded(
                f"The {self._origin} unpacks to more than {limits.unpacked} bytes (limit: unpacked).",
                limit=limits.unpacked,
            )
        packed = max(self._raw.count, 1)
        if self._unpacked > limits.ratio_from and self._unpacked / packed > limits.ratio:
            raise LimitExceeded(
                f"The {self._origin} unpacks {packed} bytes to more than {self._unpacked}, over {limits.ratio} times as"
                " much (limit: ratio). It looks like a decompression bomb.",
                limit=limits.ratio,
                found=self._unpacked // packed,
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Foreign errors become ours here and nowhere else."""
        try:
            yield
        except LimaniError:
            raise
        except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
            raise ArchiveInvalid(f"The {self._origin} is damaged or cut off: {error}.") from error
        except OSError as error:
            kind = ArchiveInvalid if self._from_file else SourceUnavailable
            hint = "Check the path and its permissions." if self._from_file else None
            raise kind(f"The {self._origin} cannot be read: {error.strerror or error}.", hint=hint) from error


class _Counted(io.RawIOBase):
    """Counts what was read from a stream and lets one look at its first bytes."""

    def __init__(self, raw: Readable) -> None:
        self._raw = raw
        self._ahead = b""
        self.count = 0

    def readable(self) -> bool:
        return True

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size and (piece := self._raw.read(size - len(self._ahead))):
            self._ahead += piece
        return self._ahead

    def read(self, size: int = -1, /) -> bytes:
        if self._ahead:
            cut = len(self._ahead) if size < 0 else size
            piece, self._ahead = self._ahead[:cut], self._ahead[cut:]
        else:
            piece = self._raw.read(size) or b""
        self.count += len(piece)
        return piece

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
