"""Private container runtimes for tests: their own folders and sockets, nothing of the host's touched.

``LIMANI_TEST_CONTAINERD``: folders with containerd binaries to test, separated by colons; without it, the cluster's
binaries, or what is on the PATH. dockerd is taken from ``LIMANI_TEST_DOCKERD`` (a folder) or the PATH.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

START_S = 30

CONFIG = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{folder}/cni/bin"
  conf_dir = "{folder}/cni/conf"
"""


def containerd_folders() -> list[Path]:
    """Folders with a containerd to test."""
    named = os.environ.get("LIMANI_TEST_CONTAINERD")
    if named:
        return [Path(folder) for folder in named.split(":")]
    found = shutil.which("containerd")
    cached = sorted((Path.home() / ".cache/limani").rglob("containerd"))
    folders = [path.parent for path in cached if path.is_file() and os.access(path, os.X_OK)]
    return folders[-1:] + ([Path(found).parent] if found else [])


def dockerd_folder() -> Path | None:
    """Folder with a dockerd to test."""
    named = os.environ.get("LIMANI_TEST_DOCKERD")
    found = shutil.which("dockerd")
    return Path(named) if named else Path(found).parent if found else None


@dataclass
class Daemon:
    """A daemon started for a test; it can be killed and started again."""

    command: Sequence[str]
    socket: str
    folder: Path
    binaries: Path
    ready: str
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it, and wait until its log says that it serves."""
        environment = os.environ | {"PATH": f"{self.binaries}:{os.environ['PATH']}"}
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        serving = threading.Event()
        self._log = threading.Thread(target=self._keep_log, args=(self.process, serving))
        self._log.start()
        assert serving.wait(START_S), f"{self.command[0]} did not start; see {self.folder}/log"

    def _keep_log(self, process: subprocess.Popen[bytes], serving: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines, (self.folder / "log").open("ab") as log:
            for line in lines:
                log.write(line)
                log.flush()
                if self.ready.encode() in line:
                    serving.set()

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop it and wait until it is gone."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(START_S)
            self.process = None


@contextmanager
def containerd(binaries: Path, folder: Path) -> Iterator[Daemon]:
    """A private containerd."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.toml"
    config.write_text(CONFIG.format(folder=folder))
    command = [str(binaries / "containerd"), "--config", str(config)]
    daemon = Daemon(command, f"{folder}/containerd.sock", folder, binaries, "containerd successfully booted")
    with _running(daemon):
        yield daemon


@contextmanager
def dockerd(binaries: Path, folder: Path) -> Iterator[Daemon]:
    """A private dockerd, which brings a containerd of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(binaries / "dockerd"),
        f"--data-root={folder}/root",
        f"--exec-root={folder}/exec",
        f"--host=unix://{folder}/docker.sock",
        f"--pidfile={folder}/pid",
        "--bridge=none",
        "--iptables=false",
        "--ip-masq=false",
    ]
    daemon = Daemon(command, f"{folder}/docker.sock", folder, binaries, "API listen on")
    with _running(daemon):
        yield daemon


@contextmanager
def _running(daemon: Daemon) -> Iterator[Daemon]:
    if os.geteuid() != 0:
        pytest.skip("container runtimes need root")
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        _unmount(daemon.folder)


def _unmount(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False)


def free_port() -> int:
    """A port of the loopback nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
