"""A bandwidth limit, for the controller and the agents alike."""

from __future__ import annotations

import asyncio


class Bucket:
    """Token bucket: lets ``rate`` bytes a second pass (0: no limit), in bursts of at most a quarter of a second."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Wait until ``count`` bytes may pass."""
        if not self._rate:
            return
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - 0.25) + count / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
