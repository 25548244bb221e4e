"""Brings back what a supervisor cannot: a node whose PID 1 died, and the control plane's supervisor itself.

It runs as a program of that supervisor, so the two watch each other; it waits on pidfds and costs nothing while all is
well. It imports little to stay small: work is done by ``python -m limani.cluster.native.boot``.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from datetime import datetime

from limani.cluster.native.layout import Layout
from limani.cluster.native.processes import Process

# Wake up now and then in case nobody could say that a node was switched on.
_LOOK_AGAIN_MS = 10_000


class Warden:
    """Watches one cluster from within its control plane."""

    def __init__(self, name: str) -> None:
        self.name, self.layout = name, Layout.of(name)
        self.nodes = [f"n{i + 1}" for i in range(json.loads(self.layout.spec.read_bytes())["nodes"])]
        self.supervisor = os.getppid()

    def run(self) -> None:
        """Watch for ever; ends after the supervisor was brought back, as that starts a warden of its own."""
        wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGHUP, lambda *_: None)
        while self._supervisor_alive():
            for node in self.nodes:
                if self._dead(node):
                    self._boot(node)
            self._await_change(wake)
        while not self._boot("control"):
            time.sleep(1)

    def _await_change(self, wake: int) -> None:
        poller = select.poll()
        poller.register(wake, select.POLLIN)
        descriptors = []
        with contextlib.suppress(ProcessLookupError):
            descriptors.append(os.pidfd_open(self.supervisor))
        for node in self.nodes:
            init = Process.recorded(self.layout.node(node).stat_file)
            descriptor = init.pidfd() if init else None
            if descriptor is not None:
                descriptors.append(descriptor)
        for descriptor in descriptors:
            poller.register(descriptor, select.POLLIN)
        poller.poll(_LOOK_AGAIN_MS)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)

    def _supervisor_alive(self) -> bool:
        return os.getppid() == self.supervisor

    def _dead(self, node: str) -> bool:
        """Whether the node was switched on by somebody and has died since."""
        here = self.layout.node(node)
        return here.stat_file.exists() and not here.off_file.exists() and Process.recorded(here.stat_file) is None

    def _boot(self, what: str) -> bool:
        # A new session: what it starts must outlive this warden. A file, as the pipe to a dead supervisor is broken.
        command = [sys.executable, "-m", "limani.cluster.native.boot", self.name, what]
        with (self.layout.control_log / "revival.log").open("ab") as log:
            log.write(f"{datetime.now().isoformat(timespec='seconds')} {what} died\n".encode())
            log.flush()
            done = subprocess.run(
                command, check=False, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return done.returncode == 0


if __name__ == "__main__":
    Warden(sys.argv[1]).run()
