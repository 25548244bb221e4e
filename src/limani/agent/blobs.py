"""The blobs of this node as OCI Distribution sees them: what is arriving, what has arrived, what the engines hold."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from limani.agent.entry import Entry
from limani.agent.inflow import Inflow
from limani.agent.spool import Spool
from limani.distribution.store import Upload
from limani.engine.base import Engine
from limani.errors import BlobUnknown, LimaniError, NotEnoughDisk, RangeInvalid, UploadUnknown
from limani.image import digest as digests

RUN_S = 10.0
"""How long an announced upload waits for the run that wants it, before it is taken as one nobody asked for."""
PATIENCE_S = 15.0
"""How long a peer with a grant waits for the run that shall bring its blob to begin."""


class Blobs:
    """Reading blobs, and receiving them in upload sessions.

    A session for a blob some run wants is named after its digest, so it can be resumed by anybody at any time, also
    after the agent was killed; any other session has a random name.
    """

    def __init__(
        self,
        spool: Spool,
        engines: Sequence[Engine],
        *,
        patient: bool = False,
        served: Callable[[int], None] = lambda size: None,
    ) -> None:
        # patient: wait a little for a blob nobody has announced yet (for peers, whose run may begin first).
        # served: told the bytes read.
        self._spool, self._engines, self._patient, self._tell = spool, engines, patient, served

    # --- reading ---------------------------------------------------------------------------------------------------

    async def stat_blob(self, digest: str) -> int:
        """Size of a blob that is here or arriving. Raises BlobUnknown."""
        entry = self._spooled(digest)
        if entry is not None:
            return entry.size
        for engine in self._engines:
            with contextlib.suppress(LimaniError):  # one engine that is down does not hide the other's blobs
                size = await engine.blob_size(digest)
                if size is not None:
                    return size
        if self._patient:
            return (await self._spool.wait_for(digest, PATIENCE_S)).size
        raise BlobUnknown(f"This node has no blob {digest}.", digest=digest)

    def _spooled(self, digest: str) -> Entry | None:
        entry = self._spool.get(digest)
        return entry if entry is not None and (entry.verified or entry.expected or entry.writer.locked()) else None

    async def read_blob(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """``length`` bytes from ``offset`` on, following a blob that is arriving.

        Ends early when whoever brings the blob stops; raises BlobUnknown if it went away before the first byte.
        """
        entry = self._spooled(digest)
        if entry is not None:
            with self._spool.hold(entry):
                async for piece in entry.read(offset, offset + length):
                    self._tell(len(piece))
                    yield piece
            return
        for engine in self._engines:
            if await engine.blob_size(digest) is not None:
                async for piece in engine.read_blob(digest, offset, length):
                    self._tell(len(piece))
                    yield piece
                return
        raise BlobUnknown(f"This node has no blob {digest} any more.", digest=digest)

    async def document(self, digest: str, limit: int) -> bytes | None:
        """A small blob as a whole, None if it is not here or larger than ``limit`` bytes."""
        try:
            size = await self.stat_blob(digest)
        except BlobUnknown:
            return None
        if size > limit:
            return None
        return b"".join([piece async for piece in self.read_blob(digest, 0, size)])

    # --- uploads ---------------------------------------------------------------------------------------------------

    async def start_upload(self, digest: str | None) -> Upload:
        """Begin or resume an upload."""
        entry = await self._expected(digest) if digest else None
        if digest and entry is not None:
            return Upload(digests.hex_part(digest), entry.received)
        session = self._spool.unnamed()
        return Upload(session.digest)

    async def _expected(self, digest: str) -> Entry | None:
        """The entry of a blob the client says it will send: some run wants it, or will (after a restart of ours)."""
        entry = self._spooled(digest)
        if entry is None:
            with contextlib.suppress(BlobUnknown):
                entry = await self._spool.wait_for(digest, RUN_S)
        return entry

    def _session(self, name: str) -> Entry:
        entry = self._spool.get(name) if name.startswith("upload-") else self._spool.get(f"sha256:{name}")
        if entry is None:
            raise UploadUnknown("There is no such upload.", session=name[:80])
        return entry

    async def upload_status(self, upload_id: str) -> int:
        """Bytes an upload has. Raises UploadUnknown."""
        return self._session(upload_id).received

    async def append(self, upload_id: str, offset: int | None, chunks: AsyncIterator[bytes]) -> int:
        """Add bytes to an upload; returns how many it has now.

        ``offset``: where the caller thinks they belong (None: at the end). Raises UploadUnknown, RangeInvalid,
        NotEnoughDisk.
        """
        entry = self._session(upload_id)
        with self._spool.hold(entry):
            async with entry.upload() as bucket:
                there = await entry.resume()
                if offset is not None and offset != there:
                    raise RangeInvalid(
                        f"The upload has {there} bytes; a chunk at {offset} does not continue it.", received=there
                    )
                try:
                    async with Inflow(entry) as inflow:
                        async for data in chunks:
                            await bucket.take(len(data))
                            await inflow.add(data)
                except NotEnoughDisk as error:
                    _refuse(entry, error)  # the run that waits for it need not wait any longer
                    raise
        return entry.received

    async def finish_upload(self, upload_id: str, digest: str) -> None:
        """End an upload and verify it. Raises UploadUnknown, RangeInvalid, DigestMismatch."""
        digests.parse(digest)
        entry = self._session(upload_id)
        if upload_id.startswith("upload-"):
            await self._spool.adopt(entry, digest)
            return
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
                _refuse(entry, error)
                raise

    async def cancel_upload(self, upload_id: str) -> None:
        """Throw an upload away; one a run waits for stays. Raises UploadUnknown."""
        entry = self._session(upload_id)
        if upload_id.startswith("upload-"):
            self._spool.drop(entry)


def _refuse(entry: Entry, error: LimaniError) -> None:
    """Tell the run that asked for an upload why there will be none."""
    entry.refused = error
    entry.notify()
