"""The logs of a cluster's processes."""

from __future__ import annotations

import os
from pathlib import Path

from limani.cluster.native.layout import Layout

_LONGEST_LINE = 2000


def files(layout: Layout) -> dict[str, Path]:
    """Log file by process: ``etcd``, ``n1/kubelet``, ..."""
    found = {file.stem: file for file in sorted(layout.control_log.glob("*.log"))}
    for folder in sorted(layout.state.glob("nodes/*/log/limani")):
        node = folder.parents[1].name
        found |= {f"{node}/{file.stem}": file for file in sorted(folder.glob("*.log"))}
    return found


def tail(file: Path, lines: int) -> list[str]:
    """The last lines of a file; it is not read whole."""
    with file.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - lines * _LONGEST_LINE))
        return log.read().decode(errors="replace").splitlines()[-lines:]


def tails(layout: Layout, lines: int) -> dict[str, list[str]]:
    """The last lines of every log."""
    return {name: tail(file, lines) for name, file in files(layout).items()}
