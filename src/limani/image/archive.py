"""Images from archives: ``docker save`` and OCI tars (plain, .gz, .zst), OCI image layouts in folders, streams.

A plain tar is read at any place; whatever else can only be read forward, is read forward, again if need be. Nothing
is copied to disk and memory stays flat. See ``limani.image.catalog`` for the formats.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

from limani.errors import ArchiveInvalid, BlobUnknown, DigestMismatch
from limani.image import catalog as catalogs
from limani.image.descriptor import Descriptor
from limani.image.members import FolderMembers, Members, TarFileMembers, unreadable
from limani.image.platform import Platform
from limani.image.reference import Reference
from limani.image.source import CHUNK, SourceImage
from limani.image.stream_members import StreamMembers
from limani.image.unpack import Limits, Opener, is_packed

__all__ = ["ArchiveSource", "Limits"]


class ArchiveSource:
    """A ``Source`` over one archive: a path, or an ``opener`` that gives the same stream each time it is called.

    Entering it reads the table of contents, all of it: an archive that is cut off or not safe is refused there.
    Raises ArchiveInvalid, LimitExceeded, ManifestInvalid, DigestMismatch; SourceUnavailable where ``opener`` fails.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        opener: Opener | None = None,
        origin: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        if (path is None) == (opener is None):
            raise ValueError("give either a path or an opener")
        self._path, self._opener = path, opener
        self.origin = origin or (f"archive {path}" if path else "archive stream")
        self._limits = limits or Limits()
        self._members: Members | None = None
        self._catalog: catalogs.Catalog | None = None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._enter)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._members is not None:
            await asyncio.to_thread(self._members.close)

    async def image(self, reference: Reference | None, platform: Platform) -> SourceImage:
        """The image of that name; where there is no name, or names do not matter (None), the only image there is."""
        return await asyncio.to_thread(catalogs.find, self._entered()[1], reference, platform, self.origin)

    async def references(self) -> list[Reference]:
        """All names in the archive, sorted."""
        names = {name for entry in self._entered()[1].entries for name in entry.references}
        return sorted(names, key=str)

    async def open(self, descriptor: Descriptor, offset: int = 0) -> AsyncIterator[bytes]:
        """The bytes of a blob of an image ``image`` has given; the digest is checked when it is read from 0."""
        members, catalog = self._entered()
        name = await asyncio.to_thread(catalog.member, descriptor.digest)
        if name is None:
            raise BlobUnknown(
                f"The {self.origin} does not hold the blob {descriptor.digest}.", digest=descriptor.digest
            )
        if members.size(name) != descriptor.size:
            raise ArchiveInvalid(
                f"{name!r} in the {self.origin} has {members.size(name)} bytes, not {descriptor.size}.", member=name
            )
        opening = asyncio.ensure_future(asyncio.to_thread(members.open, name, offset))
        try:
            reader = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread cannot be stopped: close what it brings.
            opening.add_done_callback(
                lambda done: None if done.cancelled() or done.exception() else done.result().close()
            )
            raise
        found = hashlib.sha256()

        def step() -> bytes:
            piece = reader.read(CHUNK)
            found.update(piece)
            return piece

        try:
            while piece := await asyncio.to_thread(step):
                yield piece
        finally:
            reader.close()
        if offset == 0 and f"sha256:{found.hexdigest()}" != descriptor.digest:
            raise DigestMismatch(
                f"{name!r} in the {self.origin} has the digest sha256:{found.hexdigest()}, not {descriptor.digest}.",
                expected=descriptor.digest,
                found=f"sha256:{found.hexdigest()}",
                member=name,
            )

    def _entered(self) -> tuple[Members, catalogs.Catalog]:
        if self._members is None or self._catalog is None:
            raise RuntimeError("an ArchiveSource is used inside 'async with'")
        return self._members, self._catalog

    def _enter(self) -> None:
        self._members = self._open_members()
        try:
            self._catalog = catalogs.read_catalog(self._members, self.origin)
        except BaseException:
            self._members.close()
            raise

    def _open_members(self) -> Members:
        if self._opener is not None:
            return StreamMembers(self._opener, self.origin, self._limits, from_file=False)
        path = self._path
        assert path is not None
        try:
            if path.is_dir():
                return FolderMembers(path, self.origin, self._limits)
            if path.exists() and not path.is_file():
                raise ArchiveInvalid(
                    f"The {self.origin} is not a file or folder; it is read more than once, so a pipe will not do.",
                    hint="Save it to a file first.",
                )
            with path.open("rb") as file:
                head = file.read(6)
        except OSError as error:
            raise unreadable(self.origin, error) from error
        if not is_packed(head):
            return TarFileMembers(path, self.origin, self._limits)
        return StreamMembers(lambda: path.open("rb"), self.origin, self._limits, from_file=True)
