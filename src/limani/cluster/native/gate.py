"""A gate processes wait at until it is opened: a FIFO (fifo(7)), so that waiting costs nothing and nobody polls."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from collections.abc import Sequence
from pathlib import Path


def close_gate(path: Path) -> None:
    """Make the gate; processes whose command is :func:`waiting` stop there."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)


def open_gate(path: Path) -> None:
    """Let everybody through, now and later. Does nothing if the gate is open."""
    aside = path.with_suffix(".opening")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    # Whoever comes from now on finds no gate; whoever is stopped at it is released when a writer opens it.
    try:
        os.close(os.open(aside, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno != errno.ENXIO:  # nobody waits
            raise
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()


def waiting(path: Path, words: Sequence[str], *, socket: str | None = None) -> str:
    """A shell command line that runs ``words`` once the gate is open or was never made, and the socket is there."""
    gate = shlex.quote(str(path))
    script = f"[ ! -p {gate} ] || read _ < {gate}; exec {shlex.join(words)}"
    if socket:
        script = f"until [ -S {shlex.quote(socket)} ]; do sleep 0.05; done; {script}"
    return shlex.join(["/bin/sh", "-c", script])
