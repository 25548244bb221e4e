"""Daemons that announce themselves."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from limani.errors import CommandFailed, TimedOut
from limani.lab.place import notify

READY = """
import os, signal, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.connect(os.environ["NOTIFY_SOCKET"])
    for word in sys.argv[1:]:
        s.send(word.encode())
print("waiting", os.getsid(0) == os.getpid(), flush=True)
signal.pause()
"""


def test_returns_when_it_serves(tmp_path: Path) -> None:
    """The call ends with READY=1, not with what comes before; the daemon is in a session of its own."""
    pid = notify.start_daemon([sys.executable, "-c", READY, "STATUS=starting", "READY=1"], tmp_path)
    try:
        assert b"READY=1" in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert os.getsid(pid) == pid
    finally:
        os.kill(pid, signal.SIGKILL)


def test_end_while_starting(tmp_path: Path) -> None:
    """A daemon that ends instead of serving is an error at once, with the end of its log."""
    with pytest.raises(CommandFailed, match="no such luck"):
        notify.start_daemon(["sh", "-c", "echo no such luck >&2; exit 3"], tmp_path)


def test_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that never announces itself is ended after the time allowed."""
    monkeypatch.setattr(notify, "START_TIMEOUT_S", 0.3)
    with pytest.raises(TimedOut, match="did not serve within"):
        notify.start_daemon(["sh", "-c", "echo $$ >pid; exec sleep 60"], _cd(tmp_path, monkeypatch))
    pid = int((tmp_path / "pid").read_text())
    end = Path(f"/proc/{pid}/stat")
    assert not end.exists() or end.read_text().rpartition(")")[2].split()[0] in ("Z", "X")


def _cd(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder
