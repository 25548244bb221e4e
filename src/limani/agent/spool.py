"""Blobs on their way: one file per digest, shared by every run, upload and peer that needs it.

A file survives the process; what is in it counts only after its sha256 has been checked again. Files nobody needs are
removed after ``ttl_s``, or earlier when room is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from limani.agent.entry import Entry
from limani.errors import BlobUnknown, ManifestInvalid, NotEnoughDisk

TTL_S = 24 * 3600.0
THREADS = 4
RESERVE = 64 << 20
"""Bytes of the spool's file system that are left free for others."""

MOST = 1 << 46
"""Largest blob whose size is not announced."""

_NAME = re.compile(r"[0-9a-f]{64}\Z")


class Spool:
    """The folder of blobs being received. ``limit``: most bytes it may hold, 0 for what the disk gives."""

    def __init__(self, root: Path, *, limit: int = 0, ttl_s: float = TTL_S) -> None:
        self.root, self.limit, self.ttl_s = root, limit, ttl_s
        self._entries: dict[str, Entry] = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="spool")
        self._arrived = asyncio.Event()
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def close(self) -> None:
        """Close files; they stay for the next process."""
        for entry in self._entries.values():
            entry.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def path(self, digest: str) -> Path:
        """The file of a digest (which must have been parsed)."""
        return self.root / digest.removeprefix("sha256:")

    def get(self, digest: str) -> Entry | None:
        """The entry of a blob if somebody is working on it, or its file is there and was verified by this process."""
        return self._entries.get(digest)

    def open(self, digest: str, size: int) -> Entry:
        """The entry of a blob of this size, made if need be. Raises ManifestInvalid for a contradiction in size."""
        entry = self._entries.get(digest)
        if entry is None:
            entry = self._entries[digest] = Entry(self.path(digest), digest, size, self._pool)
            self.announce()
        elif entry.size != size:
            if entry.holds or entry.verified:
                raise ManifestInvalid(
                    f"Blob {digest} is announced with {size} bytes and has {entry.size}.", digest=digest
                )
            entry.size = size
        return entry

    def unnamed(self) -> Entry:
        """An entry for a blob whose digest will be known at its end (a standard client's upload)."""
        name = f"upload-{secrets.token_hex(16)}"
        entry = self._entries[name] = Entry(self.root / name, name, MOST, self._pool)
        return entry

    async def adopt(self, entry: Entry, digest: str) -> None:
        """Give a complete unnamed entry its digest. Raises DigestMismatch."""
        name = entry.digest
        try:
            await entry.seal(digest)
        finally:
            self._entries.pop(name, None)
        known = self._entries.get(digest)
        if known is not None and (known.verified or known.holds or known.writer.locked()):
            entry.path.unlink(missing_ok=True)
            return
        entry.path = entry.path.rename(self.path(digest))
        self._entries[digest] = entry
        self.announce()

    async def keep(self, digest: str, data: bytes) -> None:
        """Put a small document in, verified."""
        entry = self.open(digest, len(data))
        with self.hold(entry):
            async with entry.writer:
                if not entry.verified:
                    await entry.reset()
                    await entry.append(data)
                    await entry.verify()

    @contextmanager
    def hold(self, entry: Entry) -> Iterator[Entry]:
        """Keep an entry's file while the block runs."""
        entry.holds += 1
        try:
            yield entry
        finally:
            entry.holds -= 1
            entry.used = time.time()
            if entry.spent:
                self.drop(entry)

    def announce(self) -> None:
        """Wake those who wait for an entry that did not exist."""
        event, self._arrived = self._arrived, asyncio.Event()
        event.set()

    async def wait_for(self, digest: str, timeout_s: float) -> Entry:
        """The entry of a blob some run is about to bring. Raises BlobUnknown when none came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while (entry := self._entries.get(digest)) is None or not (entry.expected or entry.verified):
                    await self._arrived.wait()
                return entry
        except TimeoutError:
            raise BlobUnknown(f"This node has no blob {digest} and expects none.", digest=digest) from None

    def drop(self, entry: Entry) -> None:
        """Remove a file nobody holds (otherwise nothing happens)."""
        if entry.holds or entry.writer.locked():
            return
        entry.close()
        if self._entries.get(entry.digest) is entry:
            del self._entries[entry.digest]
        entry.path.unlink(missing_ok=True)

    def spend(self, entry: Entry) -> None:
        """Remove a file that has served, as soon as nobody holds it: a peer may still be reading."""
        entry.spent = True
        self.drop(entry)

    # --- room ------------------------------------------------------------------------------------------------------

    def usage(self) -> int:
        """Bytes of all files."""
        total = 0
        with contextlib.suppress(FileNotFoundError), os.scandir(self.root) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    total += file.stat().st_size
        return total

    def reserve(self, needed: int) -> None:
        """Make sure ``needed`` more bytes fit, at the cost of files nobody needs. Raises NotEnoughDisk with numbers."""
        if self._room() < needed:
            self.sweep(everything=True)
        room = self._room()
        if room < needed:
            raise self.full(needed, room)

    def _room(self) -> int:
        stat = os.statvfs(self.root)
        room = stat.f_bavail * stat.f_frsize - RESERVE
        return min(room, self.limit - self.usage()) if self.limit else room

    def full(self, needed: int, free: int | None = None) -> NotEnoughDisk:
        """The error for a spool that is full."""
        free = max(0, self._room() if free is None else free)
        return NotEnoughDisk(
            f"The spool {self.root} has room for {free} bytes; {needed} are needed.",
            path=str(self.root),
            needed_bytes=needed,
            free_bytes=free,
        )

    def sweep(self, *, everything: bool = False, wanted: Callable[[str], bool] = lambda digest: False) -> None:
        """Remove files nobody holds: those given to the engine and not ``wanted``, the outdated, or all."""
        oldest = time.time() - (0 if everything else self.ttl_s)
        for entry in list(self._entries.values()):
            if entry.used <= oldest or (entry.given and not wanted(entry.digest)):
                self.drop(entry)
        with os.scandir(self.root) as files:
            for file in files:
                digest = f"sha256:{file.name}"
                if digest not in self._entries and file.stat().st_mtime <= oldest:
                    Path(file.path).unlink(missing_ok=True)

    def known(self, digest: str) -> int:
        """Bytes of a blob an earlier process left (0: none); they have not been checked."""
        try:
            return self.path(digest).stat().st_size if _NAME.match(digest.removeprefix("sha256:")) else 0
        except FileNotFoundError:
            return 0
