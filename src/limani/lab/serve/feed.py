"""One live picture for all open pages: sources run while somebody looks, changes are told at most every two seconds."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any

from limani.lab.serve.picture import Change, Picture, changes

QUIET_S = 2.0
# Several objects often change within a few milliseconds; draw them once.
GATHER_S = 0.1
ALIVE_S = 15.0
Source = Callable[["Feed"], Coroutine[Any, Any, None]]


class Feed:
    """``sources`` gives the coroutines that call ``update``; ``say`` makes a sentence of a change."""

    def __init__(
        self, sources: Callable[[Feed], Sequence[Coroutine[Any, Any, None]]], say: Callable[[Change], str]
    ) -> None:
        self._sources = sources
        self._say = say
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Condition()
        self._lookers = 0
        self.picture = Picture()
        self._version = 0
        self._idle = 0

    def update(self, change: Callable[[Picture], Picture]) -> None:
        """Take a new picture; called by the sources."""
        new = change(self.picture)
        if new == self.picture:
            return
        self.picture = new
        self._version += 1
        self._wake = asyncio.ensure_future(self._notify())

    def ended(self, why: str) -> None:
        """The shell has ended; pages are told when it was for idleness, since its end looks the same otherwise."""
        if why == "idle":
            self._idle += 1
            self._version += 1
            self._wake = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def stream(self) -> AsyncGenerator[str, None]:
        """Server-sent events for one page: ``picture`` (JSON), ``say`` (a sentence), comments between."""
        self._lookers += 1
        try:
            if not self._tasks:
                self._tasks = [asyncio.ensure_future(source) for source in self._sources(self)]
            async for text in self._events():
                yield text
        finally:
            self._lookers -= 1
            if not self._lookers:
                await self.close()

    async def close(self) -> None:
        """Stop the sources; the next page that looks starts them again."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.picture = Picture()
        self._version += 1

    async def _events(self) -> AsyncGenerator[str, None]:
        loop = asyncio.get_running_loop()
        shown, seen = Picture(), -1
        pending: dict[str, str] = {}
        idle = self._idle
        quiet_until = loop.time()
        while True:
            if self._version != seen:
                seen, now = self._version, self.picture
                pending |= {change.key: self._say(change) for change in changes(shown, now)}
                if idle != self._idle:
                    idle = self._idle
                    yield event("idle", {})
                shown = now
                yield event("picture", now.to_dict())
            if pending and loop.time() >= quiet_until:
                yield event("say", {"text": " ".join(pending.values())})
                pending.clear()
                quiet_until = loop.time() + QUIET_S
            wait = quiet_until - loop.time() if pending else ALIVE_S
            if not await self._news(seen, max(wait, 0.01)) and not pending:
                yield ": still here\n\n"

    async def _news(self, seen: int, timeout_s: float) -> bool:
        """Wait until there is a picture newer than ``seen``; False after ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self._version != seen)
            await asyncio.sleep(GATHER_S)
            return True
        return False


def event(kind: str, data: object) -> str:
    """One server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
