"""The gate processes wait at."""

from __future__ import annotations

import shlex
import socket
import subprocess
from pathlib import Path

from limani.cluster.native.gate import close_gate, open_gate, waiting


def start(command: str) -> subprocess.Popen[str]:
    """Run a command line as the supervisor does (without a shell of its own)."""
    return subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE, text=True)


def test_processes_stop_at_a_closed_gate_and_pass_an_open_one(tmp_path: Path) -> None:
    """All that wait are let through, however often the gate is opened, and nobody waits later."""
    gate = tmp_path / "my gate"
    close_gate(gate)
    waiters = [start(waiting(gate, ["echo", "through it"])) for _ in range(5)]
    assert [waiter.poll() for waiter in waiters] == [None] * 5
    open_gate(gate)
    open_gate(gate)
    assert [waiter.communicate(timeout=20)[0] for waiter in waiters] == ["through it\n"] * 5
    assert start(waiting(gate, ["echo", "later"])).communicate(timeout=20)[0] == "later\n"
    assert list(tmp_path.iterdir()) == []


def test_without_a_gate_nobody_waits(tmp_path: Path) -> None:
    """After a reboot there is no gate."""
    assert start(waiting(tmp_path / "none", ["echo", "on"])).communicate(timeout=20)[0] == "on\n"


def test_a_socket_is_waited_for(tmp_path: Path) -> None:
    """With a socket named, it has to be there first."""
    path = tmp_path / "runtime.sock"
    process = start(waiting(tmp_path / "none", ["echo", "now"], socket=str(path)))
    assert process.poll() is None
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert process.communicate(timeout=20)[0] == "now\n"
