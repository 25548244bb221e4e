"""Where clusters keep what they need: state, sockets, cache.

State outlives a reboot, what is under ``/run`` need not. ``LIMANI_STATE_DIR`` moves the state (it must be on a real
disk file system: containerd's snapshots do not work on overlayfs).
"""

from __future__ import annotations

import os
from pathlib import Path

RUN_ROOT = Path("/run/limani")


def state_root() -> Path:
    """The folder with one folder per cluster."""
    return Path(os.environ.get("LIMANI_STATE_DIR") or "/var/lib/limani/clusters")


def cache_root() -> Path:
    """The user's cache of Limani (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "limani"
