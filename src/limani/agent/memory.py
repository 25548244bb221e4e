"""Keeping the agent small: glibc's malloc is told not to hoard. Elsewhere (musl) nothing of this is needed or done."""

from __future__ import annotations

import contextlib
import ctypes

_M_ARENA_MAX = -8  # malloc.h


def limit_arenas() -> None:
    """Two arenas instead of eight per core: the threads that move bytes would else keep tens of MiB each."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def give_back() -> None:
    """Return free memory to the system: worth a millisecond after gigabytes have passed."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
