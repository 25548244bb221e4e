"""The probes of processes in containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from limani.lab.probes import process as probes
from limani.lab.record import Finding, Status
from limani.lab.texts import render
from tests.unit.lab.probes.docker_double import Client, Container, world

CMDLINE = ("cat", "/proc/1/cmdline")
V2, V1 = (("cat", name) for name in probes.LIMIT_FILES)


def outcome(finding: Finding) -> tuple[Status, str | None]:
    """Status and cause, after rendering the messages in both languages."""
    for lang in ("en", "el"):
        render(finding.found, lang)
        render(finding.wanted, lang)
    return finding.status, finding.cause


def expected(cause: str | None) -> tuple[Status, str | None]:
    """Pass without a cause, else fail with it."""
    return (Status.FAIL if cause else Status.PASS), cause


@pytest.mark.parametrize(
    ("line", "given", "cause"),
    [
        ("/app/app.sh\0", {}, None),
        ("/bin/sh\0/app/app.sh\0--fast\0", {}, None),
        ("/sbin/docker-init\0--\0/app/app.sh\0", {}, None),
        ("/bin/sh\0-c\0./app.sh | tee log\0", {}, "shell-form"),
        ("/sbin/docker-init\0--\0/bin/sh\0-c\0./app.sh | tee log\0", {}, "other-program"),
        ("sleep\01d\0", {}, "other-program"),
        ("/sbin/init\0", {"pid_mode": "host"}, "host-processes"),
        ("/app/app.sh\0", {"status": "exited"}, "not-running"),
    ],
)
async def test_pid_one(line: str, given: dict[str, Any], cause: str | None) -> None:
    """Process 1 is the app when it runs by itself, by its interpreter or below an init; a waiting shell is not it."""
    client = Client(Container(answers={CMDLINE: line}, **given))
    assert outcome(await probes.pid_one(world(client), container="box", program="app.sh")) == expected(cause)


@pytest.mark.parametrize(
    ("content", "cause"),
    [("4242\n", None), (" 4242", None), ("1\n", "pid-inside"), ("17", "pid-other"), (None, "no-file")],
)
async def test_host_pid(tmp_path: Path, content: str | None, cause: str | None) -> None:
    """The learner's answer is the number that the daemon tells, white space aside."""
    if content is not None:
        (tmp_path / "pid").write_text(content)
    finding = await probes.host_pid(world(Client(Container()), tmp_path), container="box", file="pid")
    assert outcome(finding) == expected(cause)


@pytest.mark.parametrize(("content", "cause"), [("6.1.0\n", None), ("5.0", "other-answer"), (None, "no-file")])
async def test_answer(tmp_path: Path, content: str | None, cause: str | None) -> None:
    """The learner's answer is what the command prints in the container."""
    if content is not None:
        (tmp_path / "kernel").write_text(content)
    client = Client(Container(answers={("uname", "-r"): "6.1.0\n"}))
    finding = await probes.answer(world(client, tmp_path), container="box", command=["uname", "-r"], file="kernel")
    assert outcome(finding) == expected(cause)


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ({V2: "67108864\n"}, None),
        ({V1: "67108864\n"}, None),
        ({V2: "max\n"}, "no-limit"),
        ({V1: "9223372036854771712\n"}, "no-limit"),
        ({V2: "33554432\n"}, "other-limit"),
        ({}, "not-running"),
    ],
)
async def test_memory_limit(answers: dict[tuple[str, ...], str], cause: str | None) -> None:
    """The limit is read where either version of cgroups has it."""
    client = Client(Container(answers=answers))
    assert outcome(await probes.memory_limit(world(client), container="box", mib=64)) == expected(cause)


@pytest.mark.parametrize("probe", [probes.pid_one, probes.host_pid, probes.memory_limit])
async def test_no_container(probe: Any) -> None:
    """A container that does not exist is told as such."""
    given = cast(
        "dict[str, dict[str, Any]]",
        {"pid_one": {"program": "sh"}, "host_pid": {"file": "pid"}, "memory_limit": {"mib": 1}},
    )[probe.__name__]
    assert outcome(await probe(world(Client()), container="box", **given)) == expected("missing")


async def test_lost_answer() -> None:
    """What a busy daemon loses is asked for again."""
    client = Client(Container(answers={V2: "67108864\n"}, lost=2))
    assert outcome(await probes.memory_limit(world(client), container="box", mib=64)) == expected(None)
