"""A token bucket for bytes."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Lets at most ``rate`` bytes per second pass (0: no limit), with bursts of at most a quarter of a second."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._due = time.monotonic()

    async def spend(self, count: int) -> None:
        """Wait until ``count`` more bytes may pass."""
        if not self._rate:
            return
        now = time.monotonic()
        self._due = max(self._due, now - 0.25) + count / self._rate
        if self._due > now:
            await asyncio.sleep(self._due - now)
