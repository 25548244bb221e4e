"""The two range headers: ``Range`` of readers (RFC 9110) and ``Content-Range`` of uploads (distribution-spec v1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from limani.errors import BadInput, RangeInvalid

_READ = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})\Z")
_UPLOAD = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]{1,18}|\*))?\Z")


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Where the bytes of a chunk belong, both ends included."""

    start: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes that are."""
        return self.last - self.start + 1


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, end), end not included, of what a reader asks of ``size`` bytes; None for all.

    Several ranges and what is no range of bytes are ignored, as RFC 9110 section 14.2 allows. Raises RangeInvalid for
    a range that begins behind the end.
    """
    match = _READ.match(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise RangeInvalid(f"The range {header} is not within the {size} bytes there are.", size=size)
    return start, end


def content_range(header: str | None) -> ContentRange | None:
    """Where a chunk says it belongs, ``<first>-<last>``; None without the header. Raises BadInput."""
    if header is None:
        return None
    match = _UPLOAD.match(header.strip())
    if match is None or int(match[2]) < int(match[1]):
        raise BadInput(
            f"Content-Range is {header[:80]!r}.", hint="Write the first and the last byte, for example 0-1023."
        )
    return ContentRange(int(match[1]), int(match[2]))
