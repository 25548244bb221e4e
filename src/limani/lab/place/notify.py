"""Starting a daemon and knowing when it serves: sd_notify(3), no waiting by the clock."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from limani.errors import CommandFailed, TimedOut

START_TIMEOUT_S = 60.0


def start_daemon(
    command: Sequence[str], folder: Path, *, environment: Mapping[str, str] | None = None, name: str = "dockerd"
) -> subprocess.Popen[bytes]:
    """Start a daemon that announces itself, in a session of its own, and wait until it serves.

    Its output goes to ``folder``/log. Raises CommandFailed with the log's end if it ends, TimedOut if it is silent.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, (folder / "log").open("wb") as log:
        address = folder / "notify"
        address.unlink(missing_ok=True)
        ready.bind(str(address))
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {}), "NOTIFY_SOCKET": str(address)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _await(process, ready, folder / "log", name)
        except BaseException:
            process.kill()
            process.wait()
            raise
    return process


def _await(process: subprocess.Popen[bytes], ready: socket.socket, log: Path, name: str) -> None:
    end = os.pidfd_open(process.pid)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([ready.fileno(), end], [], [], left)
            if ready.fileno() in readable and b"READY=1" in ready.recv(4096):
                return
            if end in readable:
                raise CommandFailed(
                    f"{name} ended while it started: {_tail(log)}", arguments=[name], exit_code=process.wait()
                )
    finally:
        os.close(end)
    raise TimedOut(f"{name} did not serve within {START_TIMEOUT_S:g} s: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-1500:]
