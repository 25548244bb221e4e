"""supervisord, for real: no root is needed for that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from limani.cluster.native.supervisor import Program, Supervisor, configuration
from limani.errors import BadInput, RuntimeUnavailable


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor that keeps ``sleeper`` alive; its command line holds a percent sign and blanks."""
    program = Program("sleeper", "/bin/sh -c 'echo 100% started; exec sleep 600'")
    text = configuration(str(tmp_path / "sock"), str(tmp_path), str(tmp_path / "pid"), [program], os.environ["PATH"])
    config = tmp_path / "supervisord.conf"
    config.write_text(text.replace("user = root\n", ""))
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        client = Supervisor(tmp_path / "sock", "the test")
        try:
            eventually(client.answers)
            yield client
        finally:
            process.terminate()


def eventually(condition: object) -> None:
    """Wait for what the supervisor does by itself."""
    deadline = time.monotonic() + 8
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_program_is_kept_alive_until_it_is_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    """Killed it comes back; stopped it stays down; starting and stopping twice says that nothing was to do."""
    eventually(lambda: supervisor.list()[0].state == "RUNNING")
    first = supervisor.list()[0].pid
    os.kill(first, signal.SIGKILL)
    eventually(lambda: supervisor.list()[0].pid not in (0, first))
    assert not supervisor.start("sleeper")
    assert supervisor.stop("sleeper")
    assert not supervisor.stop("sleeper")
    assert (supervisor.list()[0].state, supervisor.list()[0].pid) == ("STOPPED", 0)
    assert supervisor.start("sleeper")
    assert "100% started" in (tmp_path / "sleeper.log").read_text()


def test_unknown_programs_are_named(supervisor: Supervisor) -> None:
    """A program that does not exist is refused by name."""
    with pytest.raises(BadInput, match="nobody"):
        supervisor.stop("nobody")


def test_nobody_listens(tmp_path: Path) -> None:
    """Without a supervisor the error names whose it is."""
    silent = Supervisor(tmp_path / "none", "node n1")
    assert not silent.answers()
    with pytest.raises(RuntimeUnavailable, match="node n1"):
        silent.list()
