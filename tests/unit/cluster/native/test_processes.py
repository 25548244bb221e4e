"""Processes by PID and start time."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from limani.cluster.native.processes import Process, await_ends, kill_all
from limani.errors import TimedOut

SLEEP = ["sleep", "600"]


def test_stat_lines_are_read_whatever_the_name() -> None:
    """A process may call itself anything."""
    rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
    assert Process.parse("42 (a) b) c" + ")" + rest) == Process(42, 4711)


def test_a_record_of_another_life_is_not_taken_for_alive(tmp_path: Path) -> None:
    """The same PID with another start time (used again, or after a reboot) is not the recorded process."""
    stat = Path("/proc/self/stat").read_text()
    file = tmp_path / "stat"
    file.write_text(stat)
    assert Process.recorded(file) == Process.of(os.getpid())
    mine = Process.parse(stat)
    file.write_text(stat.replace(f" {mine.start} ", f" {mine.start + 1} "))
    assert Process.recorded(file) is None
    file.write_text("nonsense")
    assert Process.recorded(file) is None
    assert Process.recorded(tmp_path / "missing") is None


def test_kill_waits_for_the_end() -> None:
    """After kill the process is gone; killing it again is fine."""
    with subprocess.Popen(SLEEP) as child:
        process = Process.of(child.pid)
        assert process is not None
        process.kill()
        assert not process.alive
        assert child.wait() == -signal.SIGKILL
        process.kill()


def test_kill_gives_up_in_time() -> None:
    """A process that does not end makes an error after the time allowed."""
    with subprocess.Popen(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 600; done"], stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = Process.of(child.pid)
        assert process is not None
        with pytest.raises(TimedOut):
            process.kill(signal.SIGTERM, wait_s=0.1)
        subprocess.run(["pkill", "-9", "-P", str(child.pid)], check=False)
        child.kill()


def test_kill_all_goes_on_until_nothing_is_listed() -> None:
    """What appears while others are killed is killed too."""
    children = [subprocess.Popen(SLEEP), subprocess.Popen(SLEEP)]
    late: list[subprocess.Popen[bytes]] = []

    def listing() -> set[int]:
        if children[0].poll() is not None and not late:
            late.append(subprocess.Popen(SLEEP))
        return {child.pid for child in children + late if child.poll() is None}

    kill_all(listing)
    assert len(late) == 1
    assert [child.wait() for child in children + late] == [-signal.SIGKILL] * 3


def test_awaiting_nothing_is_done_at_once() -> None:
    """No processes, no waiting."""
    assert await_ends([], 0.0)
