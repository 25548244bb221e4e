"""Starting a daemon and knowing when it serves: sd_notify(3), no waiting by the clock."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from limani.cluster.native.processes import await_ends
from limani.errors import CommandFailed, TimedOut

START_TIMEOUT_S = 60.0
_END_S = 10.0
_START = 'setsid "$@" >"$0" 2>&1 & echo $!'
"""The shell ends at once, so the daemon is nobody's child and no one has to wait for its end."""


def start_daemon(command: Sequence[str], folder: Path, *, environment: Mapping[str, str] | None = None) -> int:
    """Start a daemon that announces itself, in a session of its own, and wait until it serves; returns its PID.

    Its output goes to ``folder``/log. Raises CommandFailed with the log's end if it ends, TimedOut if it is silent.
    """
    address, log = folder / "notify", folder / "log"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(address))
        started = subprocess.run(
            ["sh", "-c", _START, str(log), *command],
            env={**os.environ, **(environment or {}), "NOTIFY_SOCKET": str(address)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
        )
        pid = int(started.stdout)
        try:
            end = os.pidfd_open(pid)
        except ProcessLookupError:
            raise _ended(log) from None
        try:
            _await(end, ready, log)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(end, signal.SIGKILL)
            await_ends([end], _END_S)
            raise
        finally:
            os.close(end)
    return pid


def _await(end: int, ready: socket.socket, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while (left := deadline - time.monotonic()) > 0:
        readable, _, _ = select.select([ready.fileno(), end], [], [], left)
        if ready.fileno() in readable and b"READY=1" in ready.recv(4096):
            return
        if end in readable:
            raise _ended(log)
    raise TimedOut(f"The daemon did not serve within {START_TIMEOUT_S:g} s: {_tail(log)}")


def _ended(log: Path) -> CommandFailed:
    return CommandFailed(f"The daemon ended while it started: {_tail(log)}", log=str(log))


def _tail(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-1500:]
