"""Processes known for sure: by PID *and* start time, killed and awaited through pidfds (pidfd_open(2))."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from limani.errors import TimedOut


@dataclass(frozen=True)
class Process:
    """A process by PID and start time (clock ticks since boot), so that a PID used again is not mistaken for it."""

    pid: int
    start: int

    @classmethod
    def parse(cls, stat: str) -> Process:
        """From the text of ``/proc/PID/stat`` (proc(5), fields 1 and 22; the name may hold blanks)."""
        pid, rest = stat.split(" ", 1)
        return cls(int(pid), int(rest.rpartition(")")[2].split()[19]))

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process with that PID now, or ``None``."""
        try:
            return cls.parse(Path(f"/proc/{pid}/stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return None

    @classmethod
    def recorded(cls, file: Path) -> Process | None:
        """The living process whose stat line is in ``file``, or ``None`` if it is gone (also after a reboot)."""
        try:
            process = cls.parse(file.read_text())
        except (FileNotFoundError, ValueError, IndexError):
            return None
        return process if process.alive else None

    @property
    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return Process.parse(stat) == self and stat.rpartition(")")[2].split()[0] not in ("Z", "X")

    def pidfd(self) -> int | None:
        """A pidfd for exactly this process, or ``None`` if it is gone. The caller closes it."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.alive:
            return descriptor
        os.close(descriptor)
        return None

    def kill(self, number: int = signal.SIGKILL, *, wait_s: float = 10) -> None:
        """Send a signal and wait for the end. Raises :class:`TimedOut` after ``wait_s`` seconds."""
        descriptor = self.pidfd()
        if descriptor is None:
            return
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if not await_ends([descriptor], wait_s):
                raise TimedOut(f"Process {self.pid} did not end within {wait_s:g} s.", pid=self.pid)
        finally:
            os.close(descriptor)


def await_ends(descriptors: Iterable[int], wait_s: float) -> bool:
    """Wait until the processes of all pidfds have ended; false if that took longer than ``wait_s`` seconds."""
    poller = select.poll()
    waiting = set(descriptors)
    for descriptor in waiting:
        poller.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + wait_s
    while waiting:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        for descriptor, _ in poller.poll(left * 1000):
            poller.unregister(descriptor)
            waiting.discard(descriptor)
    return True


def kill_all(listing: Callable[[], set[int]], *, wait_s: float = 20) -> None:
    """SIGKILL what ``listing`` returns, again and again until it returns nothing (forks may slip in between).

    Raises :class:`TimedOut` if processes are left after ``wait_s`` seconds.
    """
    deadline = time.monotonic() + wait_s
    while pids := listing() - {os.getpid()}:
        if time.monotonic() > deadline:
            raise TimedOut(f"Processes {sorted(pids)[:20]} did not end within {wait_s:g} s.", pids=sorted(pids))
        descriptors: dict[int, int] = {}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptors[pid] = os.pidfd_open(pid)
        # The list was read before the pidfds were opened: what is still listed now is what they stand for.
        still = listing()
        try:
            for pid in descriptors.keys() & still:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptors[pid], signal.SIGKILL)
            await_ends([descriptors[pid] for pid in descriptors.keys() & still], deadline - time.monotonic())
        finally:
            for descriptor in descriptors.values():
                os.close(descriptor)
