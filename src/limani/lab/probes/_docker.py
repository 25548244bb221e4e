"""What the probes of Docker lessons share: find a container, say why it does not run, ask inside it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from limani.lab.record import Text
from limani.lab.world import World

if TYPE_CHECKING:
    from docker.models.containers import Container

TOLD_LINE = 160
"""How much of a program's last words is repeated."""
SETTLE_S, LOOK_S = 0.5, 0.05
ASKED_TIMES = 3
"""A busy daemon has been seen to lose the output of a very short command; all that is asked here prints something."""
COMMAND_NOT_FOUND = (126, 127)
PORT_BUSY = re.compile(r":(\d+)(?:/\w+)?:? (?:failed: )?(?:bind: )?(port is already allocated|address already in use)")
"""Another container has published the port; or some program has it."""
KILLED, STOPPED = 128 + 9, 128 + 15


async def find(world: World, name: str) -> Container | None:
    """The container of that name as it is now."""
    from docker.errors import NotFound

    client = await world.docker()
    try:
        return await asyncio.to_thread(client.containers.get, name)
    except NotFound:
        return None


async def inside(container: Container, *command: str) -> str | None:
    """What the command prints when run in the container; None where it fails or the container does not run."""
    from docker.errors import APIError

    def run() -> tuple[int | None, Any]:
        done = container.exec_run(list(command))
        return done.exit_code, done.output

    for _ in range(ASKED_TIMES):
        try:
            code, output = await asyncio.to_thread(run)
        except APIError:
            return None
        if code != 0:
            return None
        if output:
            break
    return bytes(output).decode(errors="replace")


def none(name: str) -> Text:
    """There is no such container."""
    return Text("docker.none", {"name": name})


def state(container: Container) -> Mapping[str, Any]:
    """``State`` of the daemon's answer."""
    found: Mapping[str, Any] = container.attrs["State"]
    return found


def runs(container: Container) -> bool:
    """It runs and is not paused."""
    return bool(state(container)["Status"] == "running")


def age(container: Container) -> float:
    """Seconds since it was started."""
    began = datetime.fromisoformat(state(container)["StartedAt"].rstrip("Z")).replace(tzinfo=UTC)
    return (datetime.now(UTC) - began).total_seconds()


async def until(container: Container, so: Callable[[], bool], seconds: float = SETTLE_S) -> None:
    """Look at the container again until it is so, at most so long: what somebody did just now may still go on."""
    end = time.monotonic() + seconds
    while not so() and time.monotonic() < end:
        await asyncio.sleep(LOOK_S)
        await asyncio.to_thread(container.reload)


async def trouble(world: World, container: Container) -> tuple[Text, str | None]:
    """Why a container that should run does not: what is seen, and the cause where it is recognised."""
    name, now = container.name or "", state(container)
    status, code, error = now["Status"], int(now["ExitCode"]), str(now.get("Error") or "")
    if status == "paused":
        return Text("docker.paused", {"name": name}), "paused"
    if error:
        return await _not_started(world, name, error)
    if status == "created":
        return Text("docker.created", {"name": name}), "not-started"
    last = await _last_words(container)
    values: dict[str, str | int | Text] = {"name": name, "code": code, "last": last}
    if now.get("OOMKilled") or (code == KILLED and await asyncio.to_thread(_ran_out_of_memory, container)):
        return Text("docker.oom", values), "oom-killed"
    cause = {0: "ended", KILLED: "killed", STOPPED: "stopped"}.get(code, "crashed")
    cause = "bad-command" if code in COMMAND_NOT_FOUND else cause
    return Text("docker.restarting" if status == "restarting" else "docker.exited", values), cause


def _ran_out_of_memory(container: Container) -> bool:
    """Whether the daemon announced it since the container was started, or does so presently.

    Its state lacks the word where the kernel's message reached the daemon after the container's end.
    """
    api: Any = container.client.api if container.client else None  # its types know no fractions of a second
    now = time.time()
    wanted = {"container": container.id, "event": "oom"}
    since, until = f"{now - age(container) - 1:.3f}", f"{now + SETTLE_S:.9f}"
    return any(api.events(since=since, until=until, filters=wanted, decode=True))


async def _not_started(world: World, name: str, error: str) -> tuple[Text, str]:
    """The daemon's error says why it could not start it."""
    if busy := PORT_BUSY.search(error):
        port, holder = busy[1], await _holder(world, busy[1])
        if busy[2].startswith("port"):
            return Text("docker.port_held", {"name": name, "port": port, "holder": holder}), "port-taken"
        return Text("docker.port_busy", {"name": name, "port": port}), "port-process"
    missing = "executable file not found" in error or "no such file or directory" in error
    return Text("docker.not_started", {"name": name, "error": _short(error)}), (
        "bad-command" if missing else "start-failed"
    )


async def _holder(world: World, port: str) -> str:
    """The running container that has this port of the machine."""
    client = await world.docker()
    for container in await asyncio.to_thread(client.containers.list):
        for places in container.ports.values():
            if any(place["HostPort"] == port for place in places or ()):
                return container.name or "?"
    return "?"


async def _last_words(container: Container) -> Text:
    """The last line the program wrote."""
    output = (await asyncio.to_thread(container.logs, tail=1)).decode(errors="replace").strip()
    return Text("docker.last_line", {"line": _short(output)}) if output else Text("docker.silent")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TOLD_LINE else "..." + line[-TOLD_LINE:]
