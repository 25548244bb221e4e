"""The programs ``kind``, ``minikube`` and ``docker``: finding them, their version, running them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from limani.errors import CommandFailed, HostUnsuitable, TimedOut

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Ran:
    """What came of a command. ``code``: its exit code."""

    arguments: Sequence[str]
    code: int
    output: str
    errors: str

    def failed(self, message: str, hint: str | None = None) -> CommandFailed:
        """The error for a command that did not do its job; the last lines it wrote stand in the message."""
        said = (self.errors.strip() or self.output.strip()).splitlines()
        return CommandFailed(
            f"{message}: {self.arguments[0]} ended with exit code {self.code}: " + " ".join(said[-6:])[-1200:],
            hint=hint,
            arguments=list(self.arguments),
            exit_code=self.code,
            output=(self.errors + self.output)[-8000:],
        )


@dataclass(frozen=True)
class Tool:
    """A program on PATH. ``oldest``: the oldest version that will do. ``get``: how to get it, for the hint."""

    name: str
    oldest: tuple[int, int, int]
    version_arguments: Sequence[str]
    get: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> str:
        """The version, once the program is found and new enough. Raises :class:`HostUnsuitable`."""
        if shutil.which(self.name) is None:
            raise HostUnsuitable(f"The command {self.name} is not installed.", hint=self.get, command=self.name)
        done = self.run(*self.version_arguments, timeout_s=30)
        found = _VERSION.search(done.output)
        if done.code or not found:
            raise done.failed(f"The command {self.name} does not say its version")
        version = tuple(int(part) for part in found.groups())
        if version < self.oldest:
            oldest = ".".join(map(str, self.oldest))
            raise HostUnsuitable(
                f"The command {self.name} is version {found[0]}; {oldest} is the oldest that will do.",
                hint=self.get,
                command=self.name,
                found=found[0],
                expected=oldest,
            )
        return ".".join(found.groups())

    def run(self, *arguments: str, timeout_s: float = 60, progress: Callable[[str], None] | None = None) -> Ran:
        """Run it to its end; ``progress`` gets each line of standard error as it comes.

        Raises :class:`HostUnsuitable` where it is not installed, :class:`TimedOut`.
        """
        command = [self.name, *arguments]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise HostUnsuitable(
                f"The command {self.name} is not installed.", hint=self.get, command=self.name
            ) from error
        return _read(process, command, timeout_s, progress or (lambda line: None))


def _read(process: subprocess.Popen[str], command: list[str], timeout_s: float, progress: Callable[[str], None]) -> Ran:
    output: list[str] = []
    errors: list[str] = []

    def follow(stream: IO[str], lines: list[str], say: Callable[[str], None]) -> None:
        with stream:
            for line in stream:
                lines.append(line)
                if line.strip():
                    say(line.strip())

    assert process.stdout is not None
    assert process.stderr is not None
    threads = [
        threading.Thread(target=follow, args=(process.stdout, output, lambda line: None), daemon=True),
        threading.Thread(target=follow, args=(process.stderr, errors, progress), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{' '.join(command[:3])} did not end within {timeout_s:g} s.", arguments=command) from error
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    for thread in threads:
        thread.join()
    return Ran(command, process.returncode, "".join(output), "".join(errors))
