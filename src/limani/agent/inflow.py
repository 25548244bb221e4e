"""From a network stream into the spool: what arrives while a piece is being written is gathered for the next one."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from limani.agent.entry import PIECE, Entry


class Inflow:
    """Appends to an entry in the background; use as an async context manager, whose end waits for the last byte.

    A slow stream is written piece by piece as it comes, so that readers see every byte at once; a fast one in pieces of
    about a MiB. ``add`` waits when the disk does not keep up.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._buffer = bytearray()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._ended = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._pump())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._filled.set()
        if isinstance(error, asyncio.CancelledError):
            self._task.cancel()  # what is being written is still counted, see ``Entry.append``
            await asyncio.wait([self._task])
        elif error is None:
            await self._task
        else:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.exception()

    async def add(self, data: bytes) -> None:
        """Take bytes. Raises what writing earlier ones raised."""
        self._buffer += data
        self._filled.set()
        while len(self._buffer) >= PIECE and not self._task.done():
            self._drained.clear()
            await self._drained.wait()
        if self._task.done():
            await self._task

    async def _pump(self) -> None:
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                data, self._buffer = self._buffer, bytearray()
                self._drained.set()
                if data:
                    await self._entry.append(data)
                elif self._ended:
                    return
                if self._ended:
                    self._filled.set()
        finally:
            self._drained.set()
