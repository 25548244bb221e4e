"""The one shell of the page: a pseudo terminal that ends with the session, the server, or after idle time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from terminado.management import PtyWithClients, TermManagerBase
from terminado.websocket import TermSocket
from tornado.websocket import WebSocketClosedError

TERM = "xterm-256color"
GRACE_S = 1.0
# A terminal larger than this is nonsense; smaller numbers are what a hidden page reports.
LARGEST = 1000


@dataclass(frozen=True)
class Shell:
    """What to run: ``command`` in ``folder`` with ``environment`` (whole, not additions)."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


def with_utf8(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a terminal that shows Greek: xterm's type, and a UTF-8 locale where it has another one."""
    made = {**environment, "TERM": TERM, "COLORTERM": "truecolor"}
    locale = made.get("LC_ALL") or made.get("LC_CTYPE") or made.get("LANG") or ""
    if not locale.upper().replace("-", "").endswith("UTF8"):
        for name in ("LC_ALL", "LC_CTYPE"):
            made.pop(name, None)
        made["LANG"] = "C.UTF-8"
    return made


class Terminal(TermManagerBase):
    """Keeps at most one shell. ``shell`` is asked at each start; ``ended`` is told why one ended ("exit", "idle")."""

    def __init__(self, shell: Callable[[], Shell], *, idle_s: float, ended: Callable[[str], None]) -> None:
        super().__init__(shell_command="")
        self._shell = shell
        self._idle_s = idle_s
        self._ended = ended
        self._pty: PtyWithClients | None = None
        self._watched: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running shell, which is also its session's id."""
        return None if self._pty is None else int(self._pty.ptyproc.pid)

    def get_terminal(self, url_component: Any = None) -> PtyWithClients:
        """The shell, started if there is none."""
        if self._pty is None:
            shell = self._shell()
            self._pty = PtyWithClients(list(shell.command), with_utf8(shell.environment), str(shell.folder))
            self.start_reading(self._pty)
            self._watch()
        self.touch()
        return self._pty

    def touch(self) -> None:
        """The learner is there: idle time begins anew."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._idle_s, self._idle) if self._pty is not None else None

    def _watch(self) -> None:
        """A shell that exits while its children hold the terminal leaves no end of file: look at the process."""
        assert self.pid is not None
        self._watched = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._watched, self._exited, self.pid)

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None

    def _exited(self, session: int) -> None:
        self._unwatch()
        _signal(session, signal.SIGKILL)

    def on_eof(self, ptywclients: PtyWithClients) -> None:
        session = ptywclients.ptyproc.pid
        self._unwatch()
        _signal(session, signal.SIGKILL)
        if ptywclients is self._pty:
            self._pty = None
            self._ended("exit")
        super().on_eof(ptywclients)

    def _idle(self) -> None:
        self._ended("idle")
        self._ending = asyncio.ensure_future(self.end())

    async def end(self) -> None:
        """End the shell and all of its session: hang up, and after a second of grace kill what is left."""
        if self._timer is not None:
            self._timer.cancel()
        pty, self._pty = self._pty, None
        if pty is None:
            return
        session = pty.ptyproc.pid
        gone = asyncio.Event()
        self._unwatch()
        with contextlib.suppress(ProcessLookupError):
            watched = os.pidfd_open(session)
            asyncio.get_running_loop().add_reader(watched, gone.set)
            try:
                _signal(session, signal.SIGHUP, signal.SIGCONT)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(gone.wait(), GRACE_S)
            finally:
                asyncio.get_running_loop().remove_reader(watched)
                os.close(watched)
        _signal(session, signal.SIGKILL)
        clients = list(pty.clients)
        if pty.ptyproc.fd in self.ptys_by_fd:
            super().on_eof(pty)
        for client in clients:
            client.on_pty_died()


def members(session: int) -> list[int]:
    """Processes of a session: every job of the shell, in whichever process group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # pid (name) state ppid pgrp session ...; the name may hold anything, also brackets.
            after = entry.read_text(errors="replace").rpartition(")")[2].split()
            if int(after[3]) == session and after[0] != "Z":
                found.append(int(entry.parent.name))
    return found


def _signal(session: int, *signals: signal.Signals) -> None:
    for pid in members(session):
        for kind in signals:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, kind)


class TerminalSocket(TermSocket):
    """The web socket of the terminal: what is typed goes in, what the shell prints comes out, nothing else."""

    async def on_message(self, message: str | bytes) -> None:  # type: ignore[override]  # both can be awaited
        """``["stdin", text]`` or ``["set_size", rows, columns]``; anything else ends the connection."""
        command = parse(message)
        if command is None:
            self.close(1008, "not understood")
            return
        if self.terminal is None:
            return
        if command[0] == "stdin":
            cast("Terminal", self.term_manager).touch()
            await self.stdin_to_ptyproc(command[1])
        else:
            self.size = (command[1], command[2])
            self.terminal.resize_to_smallest()

    def send_json_message(self, content: Any) -> None:
        """A page that has just gone needs nothing any more, and must not keep others from their output."""
        with contextlib.suppress(WebSocketClosedError):
            super().send_json_message(content)


def parse(message: str | bytes) -> tuple[Any, ...] | None:
    """A message of the page, None if it is none."""
    try:
        command = json.loads(message)
    except ValueError:
        return None
    match command:
        case ["stdin", str(text)]:
            return "stdin", text
        case ["set_size", int(rows), int(columns)] if 0 < rows <= LARGEST and 0 < columns <= LARGEST:
            return "set_size", rows, columns
    return None
