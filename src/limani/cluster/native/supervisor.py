"""supervisord: its configuration and its XML-RPC interface (supervisord.org/api.html)."""

from __future__ import annotations

import configparser
import contextlib
import http.client
import io
import xmlrpc.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limani.errors import BadInput, RuntimeUnavailable

# Faults of supervisor.xmlrpc.Faults that mean "it is already so".
_BAD_NAME, _ALREADY_STARTED, _NOT_RUNNING = 10, 60, 70


@dataclass(frozen=True)
class Program:
    """A process to keep alive. ``order``: smaller starts earlier."""

    name: str
    command: str
    order: int = 10
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProgramStatus:
    """What the supervisor says of a process. ``state``: RUNNING, STOPPED, STARTING, BACKOFF, EXITED, FATAL, ..."""

    name: str
    state: str
    pid: int


def configuration(socket: str, logs: str, pidfile: str, programs: list[Program], path: str) -> str:
    """The text of ``supervisord.conf``: every program is restarted whenever and however it ends."""
    config = configparser.RawConfigParser()
    config["unix_http_server"] = {"file": socket, "chmod": "0600"}
    config["supervisord"] = {
        "nodaemon": "true",
        "user": "root",
        "logfile": f"{logs}/supervisord.log",
        "logfile_maxbytes": "1MB",
        "logfile_backups": "1",
        "pidfile": pidfile,
        "environment": f'PATH="{path}"',
    }
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for program in programs:
        config[f"program:{program.name}"] = {
            "command": program.command.replace("%", "%%"),
            "priority": str(program.order),
            "autostart": "true",
            "autorestart": "true",
            # Zero: a process that ends at once is started again without a growing pause and never given up.
            "startsecs": "0",
            "stopasgroup": "false",
            "stopwaitsecs": "5",
            "redirect_stderr": "true",
            "stdout_logfile": f"{logs}/{program.name}.log",
            "stdout_logfile_maxbytes": "20MB",
            "stdout_logfile_backups": "1",
        }
        if program.environment:
            pairs = ",".join(f'{key}="{value}"' for key, value in program.environment.items())
            config[f"program:{program.name}"]["environment"] = pairs
    text = io.StringIO()
    config.write(text)
    return text.getvalue()


class Supervisor:
    """A client of one supervisor through its Unix socket."""

    def __init__(self, socket: Path, name: str) -> None:
        self.socket, self.name = socket, name

    def list(self) -> list[ProgramStatus]:
        """All processes. Raises :class:`RuntimeUnavailable` if the supervisor does not answer."""
        with self._server() as server:
            infos = server.getAllProcessInfo()
        return [ProgramStatus(info["name"], info["statename"], int(info["pid"])) for info in infos]

    def answers(self) -> bool:
        """Whether the supervisor answers; asking also wakes it from its one-second pause before the first start."""
        try:
            self.list()
        except RuntimeUnavailable:
            return False
        return True

    def start(self, program: str) -> bool:
        """Start a process; false if it ran already."""
        return self._call("startProcess", program, already=_ALREADY_STARTED)

    def stop(self, program: str) -> bool:
        """Stop a process and wait until it has ended; false if it did not run."""
        return self._call("stopProcess", program, already=_NOT_RUNNING)

    def signal(self, program: str, name: str) -> bool:
        """Send a signal (``HUP``) to a process; false if it does not run."""
        return self._call("signalProcess", program, name, already=_NOT_RUNNING)

    def _call(self, method: str, program: str, *arguments: str, already: int) -> bool:
        with self._server() as server:
            try:
                getattr(server, method)(program, *arguments)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode == already:
                    return False
                if fault.faultCode == _BAD_NAME:
                    raise BadInput(f"There is no process {program!r} in {self.name}.", process=program) from fault
                raise
        return True

    @contextlib.contextmanager
    def _server(self) -> Iterator[Any]:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
                yield proxy.supervisor
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise RuntimeUnavailable(f"The supervisor of {self.name} does not answer: {error}.") from error
        finally:
            transport.close()
