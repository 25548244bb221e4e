"""The wrapper around commands."""

from __future__ import annotations

import pytest

from limani.cluster.command import run
from limani.errors import CommandFailed, HostUnsuitable, TimedOut


def test_output_is_returned() -> None:
    """Standard output comes back; standard input goes in."""
    assert run(["cat"], stdin="hello") == "hello"


def test_a_failure_carries_everything() -> None:
    """The error has arguments, exit code and output."""
    with pytest.raises(CommandFailed, match="no luck") as caught:
        run(["sh", "-c", "echo no luck >&2; exit 3"])
    assert caught.value.fields["exit_code"] == 3
    assert caught.value.fields["arguments"][0] == "sh"


def test_failures_can_be_allowed() -> None:
    """Without check a failing command is no error."""
    assert run(["sh", "-c", "echo out; exit 1"], check=False) == "out\n"


def test_a_missing_command_is_the_hosts_fault() -> None:
    """A command that is not installed is named."""
    with pytest.raises(HostUnsuitable, match="limani-no-such-command"):
        run(["limani-no-such-command"])


def test_a_hanging_command_is_ended() -> None:
    """After the timeout the command is ended and the error says so."""
    with pytest.raises(TimedOut):
        run(["sleep", "60"], timeout_s=0.1)
