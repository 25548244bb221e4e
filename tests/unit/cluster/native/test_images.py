"""The pause image."""

from __future__ import annotations

import platform
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from limani.cluster.native.images import pause_program, write_pause
from limani.cluster.native.processes import Process
from limani.errors import HostUnsuitable


def test_the_program_waits_and_costs_nothing(tmp_path: Path) -> None:
    """It runs on this machine, sleeps in the kernel, and ends by SIGTERM (outside a PID namespace of its own)."""
    program = tmp_path / "pause"
    program.write_bytes(pause_program(platform.machine()))
    program.chmod(0o755)
    with subprocess.Popen([program]) as child:
        process = Process.of(child.pid)
        assert process is not None
        assert process.alive
        process.kill(signal.SIGTERM)
        assert child.wait() == -signal.SIGTERM


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 0x3E), ("aarch64", 0xB7)])
def test_the_program_is_elf_for_its_machine(machine: str, number: int) -> None:
    """The header names the processor, and the file is as long as its one segment says (elf(5))."""
    program = pause_program(machine)
    assert program[:7] == b"\x7fELF\x02\x01\x01"
    assert int.from_bytes(program[18:20], "little") == number
    assert int.from_bytes(program[64 + 32 : 64 + 40], "little") == len(program)


def test_other_machines_are_refused() -> None:
    """A processor nobody wrote the program for is named."""
    with pytest.raises(HostUnsuitable, match="riscv64"):
        pause_program("riscv64")


def test_the_archive_is_the_same_every_time(tmp_path: Path) -> None:
    """Same input, same bytes, and nothing else is left in the folder."""
    write_pause(tmp_path / "a.tar")
    write_pause(tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "b.tar"]
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert "index.json" in archive.getnames()
