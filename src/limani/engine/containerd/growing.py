"""A file that grows as the source of a write: the event loop follows it, a worker thread reads it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from limani.engine.containerd.content import CHUNK

if TYPE_CHECKING:
    from limani.engine.base import Arriving


class Growing:
    """One reading of a blob. Its last piece is given out only when the whole has been verified.

    It ends early if what had arrived is thrown away: what has been read was not the blob.
    """

    def __init__(self, blob: Arriving) -> None:
        self._path, self._size, self._epoch = blob.path, blob.size, blob.epoch
        self._there, self._over = 0, False
        self._told = threading.Condition()

    def read(self, offset: int) -> Iterator[bytes]:
        """The bytes from ``offset`` on; ends early where there will be no more."""
        if offset >= self._size or not self._wait(min(offset + CHUNK, self._size)):
            return
        try:
            file = self._path.open("rb", buffering=0)
        except FileNotFoundError:
            return
        with file:
            file.seek(offset)
            while offset < self._size and self._wait(end := min(offset + CHUNK, self._size)):
                piece = file.read(end - offset)
                if not piece:
                    return
                offset += len(piece)
                yield piece

    def _wait(self, end: int) -> bool:
        with self._told:
            self._told.wait_for(lambda: self._over or self._there >= end)
            return self._there >= end

    def _tell(self, there: int, *, over: bool = False) -> None:
        with self._told:
            self._there, self._over = there, self._over or over
            self._told.notify_all()

    async def follow(self, blob: Arriving) -> None:
        """Let ``read`` go on as the blob arrives; ends with it."""
        while blob.epoch == self._epoch and not blob.verified:
            self._tell(min(blob.received, blob.size - 1))
            await blob.changed()
        if blob.epoch == self._epoch:
            self._tell(self._size)
        else:
            self._tell(0, over=True)

    def end(self) -> None:
        """Let ``read`` end wherever it is."""
        self._tell(self._there, over=True)


@asynccontextmanager
async def growing(blob: Arriving) -> AsyncIterator[Growing]:
    """A reading of ``blob`` that is followed while the block runs."""
    reading = Growing(blob)
    following = asyncio.create_task(reading.follow(blob))
    try:
        yield reading
    finally:
        following.cancel()
        reading.end()
