"""The agent as a process of its own, on a private containerd."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.integration.engine.conftest import containerd_daemon  # noqa: F401 - a fixture
from tests.integration.engine.daemons import Daemon, free_port
from tests.unit.agent.harness import TOKEN, Agent

START_S = 60


@dataclass
class AgentProcess:
    """``python -m limani.agent`` with its own spool, on the loopback."""

    folder: Path
    node: str
    namespace: str
    options: list[str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it says that it listens."""
        tokens = self.folder / "tokens"
        tokens.write_text(f"{TOKEN} tester\n")
        tokens.chmod(0o600)
        command = [
            *(sys.executable, "-m", "limani.agent", "--node", self.node, "--listen", "127.0.0.1"),
            *("--port", str(self.port), "--auth", "token-file", "--token-file", str(tokens)),
            *("--spool", str(self.spool), *self.options),
        ]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LIMANI_")}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert self.process.stdout is not None
        line = json.loads(self.process.stdout.readline() or b'{"event": "it ended"}')
        assert line["event"] == "listening", line
        # What it says from now on is not read; a file takes it, so that it never blocks on a full pipe.
        self._drain = subprocess.Popen(
            ["tee", "-a", str(self.folder / "log")], stdin=self.process.stdout, stdout=subprocess.DEVNULL
        )
        self.process.stdout.close()

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Stop it; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(START_S)
        self._drain.wait(START_S)
        self.process = None
        return code

    def memory(self, name: str) -> float:
        """MiB of ``VmRSS`` or ``VmHWM``."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


@pytest.fixture
def processes(containerd_daemon: Daemon, tmp_path: Path) -> Iterator[list[AgentProcess]]:  # noqa: F811
    """Two agents over the same containerd, in namespaces of their own, as if on two nodes."""
    found = []
    for node in ("n1", "n2"):
        folder = tmp_path / node
        folder.mkdir()
        options = ["--containerd-socket", containerd_daemon.socket, "--containerd-root", str(containerd_daemon.folder)]
        namespace = f"{node}-{os.urandom(4).hex()}"
        options += ["--containerd-namespace", namespace, "--docker-socket", ""]
        found.append(AgentProcess(folder, node, namespace, options))
    try:
        for process in found:
            process.start()
        yield found
    finally:
        for process in found:
            if process.process is not None:
                process.stop()


@pytest.fixture
async def agents(processes: list[AgentProcess]) -> AsyncIterator[list[Agent]]:
    """The client's side of both."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        yield [
            Agent(process.node, f"https://127.0.0.1:{process.port}", None, None, None, http)  # type: ignore[arg-type]
            for process in processes
        ]
