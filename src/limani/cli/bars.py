"""Progress bars on standard error."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn


class Bars:
    """A progress bar per node."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._blobs: dict[str, dict[str, tuple[int, int]]] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()
        sys.stderr.flush()

    def on_bytes(self, node: str, digest: str, received: int, size: int) -> None:
        """Note that ``node`` has ``received`` of the ``size`` bytes of a blob."""
        if node not in self._tasks:
            self._tasks[node] = self._progress.add_task(node)
        blobs = self._blobs.setdefault(node, {})
        blobs[digest] = (received, size)
        have, total = (sum(blob[i] for blob in blobs.values()) for i in (0, 1))
        self._progress.update(self._tasks[node], completed=have, total=total)
