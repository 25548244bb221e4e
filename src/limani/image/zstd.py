"""Reading zstd streams (RFC 8878) with bounded memory, and noticing when one is cut off.

The reader of the zstandard package stays silent about a stream that ends early, and its decompression objects unpack
all they are given at once, which a hostile stream makes gigabytes of. So frames are taken apart here, and one block
at a time, at most 128 KiB unpacked, is given to the decompressor.
"""

from __future__ import annotations

from typing import Protocol

import zstandard

_MAGIC = 0xFD2FB528
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_MAX_WINDOW = 128 << 20  # memory a stream may ask for: the largest the zstd command writes without --long
_RLE = 1


class _Input(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


class ZstdStream:
    """The unpacked bytes, frame after frame. Raises EOFError for a stream cut off, zstandard.ZstdError for damage."""

    def __init__(self, raw: _Input) -> None:
        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._has_checksum = False
        self._ready = b""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes (a negative size: a block), empty at the end."""
        while not self._ready:
            if self._frame is not None:
                self._next_block()
            elif not self._next_frame():
                return b""
        cut = len(self._ready) if size < 0 else size
        piece, self._ready = self._ready[:cut], self._ready[cut:]
        return piece

    def close(self) -> None:
        """Close the input."""
        self._raw.close()

    def _next_frame(self) -> bool:
        """Read a frame header (section 3.1.1.1); false at the end of the input."""
        head = self._take(4, at_start=True)
        if not head:
            return False
        magic = int.from_bytes(head, "little")
        if magic in _SKIPPABLE:
            left = int.from_bytes(self._take(4), "little")
            while left:
                left -= len(self._take(min(left, 1 << 16)))
            return True
        if magic != _MAGIC:
            raise zstandard.ZstdError("what follows a frame is not a zstd frame")
        flags = self._take(1)
        single_segment = flags[0] >> 5 & 1
        content_size = (single_segment, 2, 4, 8)[flags[0] >> 6]
        dictionary = (0, 1, 2, 4)[flags[0] & 3]
        header = head + flags + self._take((1 - single_segment) + dictionary + content_size)
        self._has_checksum = bool(flags[0] >> 2 & 1)
        self._frame = self._decompressor.decompressobj()
        self._ready = self._frame.decompress(header)
        return True

    def _next_block(self) -> None:
        """Unpack one block (section 3.1.1.2); after the last, check that the frame is whole."""
        frame = self._frame
        assert frame is not None
        head = self._take(3)
        fields = int.from_bytes(head, "little")
        last, kind, size = fields & 1, fields >> 1 & 3, fields >> 3
        block = head + self._take(1 if kind == _RLE else size)
        if last and self._has_checksum:
            block += self._take(4)
        self._ready += frame.decompress(block)
        if last:
            self._frame = None
            if not frame.eof:
                raise zstandard.ZstdError("a frame does not end with its last block")

    def _take(self, size: int, *, at_start: bool = False) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._raw.read(size - len(data))
            if not piece:
                if at_start and not data:
                    return b""
                raise EOFError("the zstd stream ends in the middle of a frame")
            data += piece
        return data
