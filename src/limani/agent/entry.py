"""One blob of the spool: a file that grows, is verified, and can be read while it grows."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from limani.errors import DigestMismatch, LimaniError, NotEnoughDisk, RangeInvalid, UploadUnknown
from limani.pace import Bucket

PIECE = 256 << 10
"""Bytes written or read at once: large enough for a hop to a thread to cost little, small enough to come from the heap
(images/agent/build.py, MALLOC_MMAP_THRESHOLD_) instead of being mapped, zeroed and unmapped each time."""


class Entry:
    """A blob on its way. Exactly one writer at a time (``writer``), any number of readers.

    ``received``: bytes on disk, all of them part of the blob. ``verified``: the file is complete and has its digest.
    """

    def __init__(self, path: Path, digest: str, size: int, pool: Executor) -> None:
        self.path, self.digest, self.size = path, digest, size
        self.received = path.stat().st_size if path.exists() else 0
        self.verified = False
        self.writer = asyncio.Lock()
        self.holds = 0  # runs, uploads and readers that need the file
        self.used = time.time()
        self.expected = 0  # runs that will bring this blob
        self.given = False  # the engine has it
        self.spent = False  # nobody needs it but who reads it now
        self.epoch = 0  # grows when what had arrived was thrown away
        self.moved = 0  # bytes ever appended by this process
        self._run = ("", 0)  # the last run that brought bytes, and how many
        self.source = ""  # who is sending, for progress
        self.refused: LimaniError | None = None  # why an upload that was asked for was turned down
        self._appending: asyncio.Task[None] | None = None
        self._upload_bucket: Bucket | None = None
        self._uploader: asyncio.Task[object] | None = None
        self._uploading = asyncio.Lock()
        self._pool = pool
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._changed = asyncio.Event()
        self._file: int | None = None

    # --- following -----------------------------------------------------------------------------------------------

    async def changed(self) -> None:
        """Wait until something about the blob changes (bytes, verified, expected)."""
        await self._changed.wait()

    def notify(self) -> None:
        """Wake everybody who waits in ``changed``."""
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    def count(self, run: str, moved: int) -> int:
        """Note that a stream of a run brought so many bytes; returns how many all streams of that run have brought."""
        name, before = self._run
        if not run or name != run:
            before = 0
        self._run = (run, before + moved)
        return before + moved

    async def read(self, offset: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``offset`` to ``end`` (exclusive), as they arrive. Stops early when nobody brings the rest."""
        loop = asyncio.get_running_loop()
        epoch = self.epoch
        file = os.open(self.path, os.O_RDONLY | os.O_CREAT, 0o600)
        try:
            while offset < end and self.epoch == epoch:
                there = min(self.received, end)
                if offset < there:
                    piece = await loop.run_in_executor(self._pool, os.pread, file, min(PIECE, there - offset), offset)
                    offset += len(piece)
                    yield piece
                elif not self.expected and not self.writer.locked():
                    return
                else:
                    await self.changed()
        finally:
            os.close(file)

    # --- writing (the holder of ``writer``) -----------------------------------------------------------------------

    async def resume(self) -> int:
        """Make ready to append: hash what an earlier process left; returns the offset to go on from."""
        if self._appending is not None:
            await asyncio.wait([self._appending])
        if self.received > self.size:
            await self.reset()
        if self._hashed < self.received:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._rehash)
        return self.received

    def _rehash(self) -> None:
        with self.path.open("rb", buffering=0) as file:
            file.seek(self._hashed)
            while self._hashed < self.received and (piece := file.read(min(PIECE, self.received - self._hashed))):
                self._hash.update(piece)
                self._hashed += len(piece)
        self.received = self._hashed

    async def append(self, data: bytes | bytearray) -> None:
        """Add bytes at the end. Raises RangeInvalid if the blob would outgrow its size, OSError of the disk."""
        if self.received + len(data) > self.size:
            raise RangeInvalid(
                f"Blob {self.digest} has {self.size} bytes; {self.received + len(data)} were sent.", digest=self.digest
            )
        # Shielded: a thread that writes cannot be stopped, and the count must follow what it wrote.
        self._appending = asyncio.create_task(self._append(data))
        await asyncio.shield(self._appending)

    async def _append(self, data: bytes | bytearray) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._write, data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            stat = os.statvfs(self.path.parent)
            free, left = stat.f_bavail * stat.f_frsize, self.size - self.received
            raise NotEnoughDisk(
                f"The disk of the spool {self.path.parent} is full: {free} bytes are free, blob {self.digest} needs "
                f"{left} more.",
                path=str(self.path.parent),
                needed_bytes=left,
                free_bytes=free,
            ) from error
        self.received += len(data)
        self._hashed = self.received
        self.moved += len(data)
        self.used = time.time()
        self.notify()

    def _write(self, data: bytes | bytearray) -> None:
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        view, offset = memoryview(data), self.received
        while view:
            written = os.pwrite(self._file, view, offset)
            view, offset = view[written:], offset + written
        self._hash.update(data)

    # --- uploads ------------------------------------------------------------------------------------------------------

    def open_for_upload(self, bucket: Bucket) -> None:
        """The holder of ``writer`` lets uploads write in its place, at its pace."""
        self.refused, self._upload_bucket = None, bucket
        self.notify()

    async def close_for_upload(self) -> None:
        """No more uploads; one that is under way is stopped."""
        self._upload_bucket = None
        self._stop_uploader()
        async with self._uploading:
            pass

    def _stop_uploader(self) -> None:
        uploader, self._uploader = self._uploader, None
        if uploader is not None:
            uploader.cancel()

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[Bucket]:
        """The right to append as an upload; a later upload takes it from an earlier one (whose way may be dead).

        Waits for the ``writer`` where no run has opened the blob for uploads. Yields the pace to keep.
        """
        me = asyncio.current_task()
        assert me is not None
        self._stop_uploader()
        async with self._uploading, AsyncExitStack() as stack:
            bucket = self._upload_bucket
            if bucket is None:
                await stack.enter_async_context(self.writer)
                bucket = Bucket(0)
            self._uploader = me
            try:
                yield bucket
            except asyncio.CancelledError:
                if self._uploader is me:
                    raise  # the caller went away
                me.uncancel()
                raise UploadUnknown(f"Another upload of {self.digest} has taken over.", digest=self.digest) from None
            finally:
                self._uploader = None if self._uploader is me else self._uploader

    async def verify(self) -> None:
        """Check a complete file's digest; a damaged one is emptied. Raises DigestMismatch."""
        await self.resume()
        found = f"sha256:{self._hash.hexdigest()}"
        if self.received == self.size and found == self.digest:
            self.verified = True
            self.close()
            if not self.size:
                self.path.touch()  # nothing was ever written
            self.notify()
            return
        received = self.received
        await self.reset()
        raise DigestMismatch(
            f"The {received} bytes received for blob {self.digest} have the digest {found}; they were thrown away.",
            expected=self.digest,
            found=found,
        )

    async def seal(self, digest: str) -> None:
        """End a blob whose digest and size were not known before: this is all of it. Raises DigestMismatch."""
        await self.resume()
        self.digest, self.size = digest, self.received
        await self.verify()

    async def reset(self) -> None:
        """Start again with an empty file."""
        self.close()
        await asyncio.get_running_loop().run_in_executor(self._pool, self._truncate)
        self.received, self._hashed, self._hash, self.verified = 0, 0, hashlib.sha256(), False
        self.epoch += 1
        self.notify()

    def _truncate(self) -> None:
        # A new file, so that a reader of the old one cannot mix the two.
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file for writing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
