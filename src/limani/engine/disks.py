"""Free space of the file systems images live on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from limani.wire import Disk


def disks_of(paths: Iterable[str]) -> tuple[Disk, ...]:
    """The file systems of those of ``paths`` that exist, each once. ``free`` is what the agent itself may use."""
    found: dict[int, Disk] = {}
    for path in paths:
        try:
            device, stat = Path(path).stat().st_dev, os.statvfs(path)
        except OSError:
            continue  # not mounted into the agent, or not this runtime's
        found.setdefault(device, Disk(path, stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize))
    return tuple(found.values())
