"""One wrapper around commands of the system; a failure carries arguments, exit code and output."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

from limani.errors import CommandFailed, HostUnsuitable, TimedOut


def run(arguments: Sequence[str], *, stdin: str | None = None, timeout_s: float = 60, check: bool = True) -> str:
    """Run a command and return what it printed on standard output.

    Raises :class:`CommandFailed` on a non-zero exit (unless ``check`` is false), :class:`HostUnsuitable` where the
    command does not exist and :class:`TimedOut` after ``timeout_s`` seconds.
    """
    line = shlex.join(arguments)
    try:
        done = subprocess.run(
            list(arguments),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise HostUnsuitable(f"The command {arguments[0]!r} is not installed.", command=arguments[0]) from error
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{line} did not end within {timeout_s:g} s.", arguments=list(arguments)) from error
    if check and done.returncode:
        output = (done.stderr + done.stdout).strip()
        raise CommandFailed(
            f"{line} failed with exit code {done.returncode}: {output[-2000:]}",
            arguments=list(arguments),
            exit_code=done.returncode,
            output=output[-8000:],
        )
    return done.stdout
