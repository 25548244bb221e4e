"""Progress for people: one line per node, now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_S = 1.0


class Meter:
    """Sums up blobs per node and says a line about a node at most once a second."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._blobs: dict[str, dict[str, tuple[int, int]]] = {}
        self._said: dict[str, float] = {}
        self._begun = time.monotonic()

    def on_progress(self, node: str, digest: str, received: int, size: int) -> None:
        """Note that ``node`` has ``received`` of the ``size`` bytes of a blob."""
        blobs = self._blobs.setdefault(node, {})
        blobs[digest] = (received, size)
        now = time.monotonic()
        if now - self._said.get(node, self._begun) < EVERY_S:
            return
        self._said[node] = now
        have, total = (sum(blob[i] for blob in blobs.values()) for i in (0, 1))
        speed = have / max(now - self._begun, 0.001) / 1e6
        self._say(
            f"{node}: {have / 1e6:.0f} of {total / 1e6:.0f} MB ({100 * have // max(total, 1)} %), {speed:.0f} MB/s"
        )
