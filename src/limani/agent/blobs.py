"""The blobs of this node as OCI Distribution sees them: what is arriving, what has arrived, what the engines hold."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from limani.agent.entry import Entry
from limani.agent.inflow import Inflow
from limani.agent.spool import Spool
from limani.engine.base import Engine
from limani.errors import BlobUnknown, LimaniError, RangeInvalid, UploadUnknown
from limani.image import digest as digests

PATIENCE_S = 15.0
"""How long a peer with a grant waits for the run that shall bring its blob to begin."""


class Blobs:
    """Reading blobs, and receiving them in upload sessions.

    A session for a blob some run wants is named after its digest, so it can be resumed by anybody at any time, also
    after the agent was killed; any other session has a random name.
    """

    def __init__(self, spool: Spool, engines: Sequence[Engine]) -> None:
        self._spool, self._engines = spool, engines

    # --- reading ---------------------------------------------------------------------------------------------------

    async def size(self, digest: str, *, patient: bool = False) -> int:
        """Size of a blob that is here or arriving. ``patient``: wait a little for it to be expected.

        Raises BlobUnknown.
        """
        entry = self._spooled(digest)
        if entry is not None:
            return entry.size
        for engine in self._engines:
            with contextlib.suppress(LimaniError):  # one engine that is down does not hide the other's blobs
                size = await engine.blob_size(digest)
                if size is not None:
                    return size
        if patient:
            return (await self._spool.wait_for(digest, PATIENCE_S)).size
        raise BlobUnknown(f"This node has no blob {digest}.", digest=digest)

    def _spooled(self, digest: str) -> Entry | None:
        entry = self._spool.get(digest)
        return entry if entry is not None and (entry.verified or entry.expected or entry.writer.locked()) else None

    async def read(self, digest: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes ``start`` to ``end`` (exclusive), following a blob that is arriving.

        Ends early when whoever brings the blob stops; raises BlobUnknown if it went away before the first byte.
        """
        entry = self._spooled(digest)
        if entry is not None:
            with self._spool.hold(entry):
                async for piece in entry.read(start, end):
                    yield piece
            return
        for engine in self._engines:
            if await engine.blob_size(digest) is not None:
                async for piece in engine.read_blob(digest, start, end - start):
                    yield piece
                return
        raise BlobUnknown(f"This node has no blob {digest} any more.", digest=digest)

    async def document(self, digest: str, limit: int) -> bytes | None:
        """A small blob as a whole, None if it is not here or larger than ``limit`` bytes."""
        try:
            size = await self.size(digest)
        except BlobUnknown:
            return None
        if size > limit:
            return None
        return b"".join([piece async for piece in self.read(digest, 0, size)])

    # --- uploads ---------------------------------------------------------------------------------------------------

    async def start(self, digest: str | None) -> tuple[str, int]:
        """Begin or resume an upload; returns the session's name and the bytes that are there already."""
        entry = self._spooled(digest) if digest else None
        if digest and entry is not None:
            return digests.hex_part(digest), entry.received
        session = self._spool.unnamed()
        return session.digest, 0

    def _session(self, name: str) -> Entry:
        entry = self._spool.get(name) if name.startswith("upload-") else self._spool.get(f"sha256:{name}")
        if entry is None:
            raise UploadUnknown("There is no such upload.", session=name[:80])
        return entry

    async def received(self, name: str) -> int:
        """Bytes an upload has. Raises UploadUnknown."""
        return self._session(name).received

    async def append(self, name: str, offset: int | None, chunks: AsyncIterator[bytes]) -> int:
        """Add bytes to an upload; returns how many it has now.

        ``offset``: where the caller thinks they belong (None: at the end). Raises UploadUnknown, RangeInvalid,
        NotEnoughDisk.
        """
        entry = self._session(name)
        with self._spool.hold(entry):
            async with entry.upload() as bucket:
                there = await entry.resume()
                if offset is not None and offset != there:
                    raise RangeInvalid(
                        f"The upload has {there} bytes; a chunk at {offset} does not continue it.", received=there
                    )
                async with Inflow(entry) as inflow:
                    async for data in chunks:
                        await bucket.take(len(data))
                        await inflow.add(data)
        return entry.received

    async def finish(self, name: str, digest: str) -> int:
        """End an upload and verify it; returns its size. Raises UploadUnknown, DigestMismatch."""
        digests.parse(digest)
        entry = self._session(name)
        if name.startswith("upload-"):
            await self._spool.adopt(entry, digest)
            return entry.size
        if entry.digest != digest:
            raise RangeInvalid(f"This upload is for {entry.digest}, not for {digest}.", digest=digest)
        if not entry.verified:
            if entry.received < entry.size:
                raise RangeInvalid(
                    f"The upload has {entry.received} of {entry.size} bytes of {digest}.", received=entry.received
                )
            try:
                await entry.verify()
            except LimaniError as error:
                entry.refused = error
                entry.notify()
                raise
        return entry.size

    async def cancel(self, name: str) -> None:
        """Throw an upload away; one a run waits for stays. Raises UploadUnknown."""
        entry = self._session(name)
        if name.startswith("upload-"):
            self._spool.drop(entry)
