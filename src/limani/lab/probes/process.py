"""Processes in containers: who is first, what the kernel grants them, how they end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from limani.lab.probes import probe
from limani.lab.probes._docker import KILLED, LOOK_S, find, inside, none
from limani.lab.record import Finding, Text, failed, passed
from limani.lab.world import DOCKER_TIMEOUT_S, World

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

SHELLS = ("sh", "bash", "ash", "dash")
INITS = ("docker-init", "tini", "dumb-init")
MIB = 1024 * 1024
LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
NO_LIMIT = 1 << 60
"""cgroup v1 writes a huge number where there is no limit, v2 the word max."""
ANSWER_BYTES = 4096
READY_S = 3
"""What a program may take to say that it is up."""


@probe
async def pid_one(world: World, *, container: str, program: str) -> Finding:
    """Process 1, as the container sees it, is ``program`` (run by itself, by its interpreter or by an init)."""
    wanted = Text("process.pid_one_wanted", {"name": container, "program": program})
    found = await find(world, container)
    if found is None:
        return failed(none(container), wanted, "missing")
    line = await inside(found, "cat", "/proc/1/cmdline")
    if line is None:
        return failed(Text("process.not_asked", {"name": container}), wanted, "not-running")
    words = [word for word in line.split("\0") if word]
    values = {"name": container, "command": " ".join(words)[:80]}
    if found.attrs["HostConfig"].get("PidMode") == "host":
        return failed(Text("process.host_processes", values), wanted, "host-processes")
    if program in _programs(words):
        return passed(Text("process.pid_one", values), wanted)
    shell = len(words) > 1 and _base(words[0]) in SHELLS and words[1] == "-c"
    return failed(Text("process.pid_one", values), wanted, "shell-form" if shell else "other-program")


@probe
async def host_pid(world: World, *, container: str, file: str) -> Finding:
    """The file of the workspace holds the number that the container's first process has on Docker's machine."""
    wanted = Text("process.host_pid_wanted", {"name": container, "file": file})
    found = await find(world, container)
    if found is None:
        return failed(none(container), wanted, "missing")
    answer = await asyncio.to_thread(_answer, world.workspace / file)
    if answer is None:
        return failed(Text("process.no_file", {"file": file}), wanted, "no-file")
    text = Text("process.file_says", {"file": file, "answer": answer})
    if answer == str(found.attrs["State"]["Pid"]):
        return passed(text, wanted)
    return failed(text, wanted, "pid-inside" if answer == "1" else "pid-other")


@probe
async def answer(world: World, *, container: str, command: list[str], file: str) -> Finding:
    """The file of the workspace holds what ``command`` prints in the container."""
    wanted = Text("process.answer_wanted", {"name": container, "file": file, "command": " ".join(command)})
    found = await find(world, container)
    if found is None:
        return failed(none(container), wanted, "missing")
    said = await asyncio.to_thread(_answer, world.workspace / file)
    if said is None:
        return failed(Text("process.no_file", {"file": file}), wanted, "no-file")
    output = await inside(found, *command)
    if output is None:
        return failed(Text("process.not_asked", {"name": container}), wanted, "not-running")
    text = Text("process.file_says", {"file": file, "answer": said})
    return passed(text, wanted) if said == output.strip() else failed(text, wanted, "other-answer")


@probe
async def memory_limit(world: World, *, container: str, mib: int) -> Finding:
    """The container's own cgroup allows so many mebibytes of memory."""
    wanted = Text("process.limit_wanted", {"name": container, "mib": mib})
    found = await find(world, container)
    if found is None:
        return failed(none(container), wanted, "missing")
    for name in LIMIT_FILES:
        told = await inside(found, "cat", name)
        if told is not None:
            break
    else:
        return failed(Text("process.not_asked", {"name": container}), wanted, "not-running")
    if told.strip() == "max" or int(told) >= NO_LIMIT:
        return failed(Text("process.no_limit", {"name": container}), wanted, "no-limit")
    text = Text("process.limit", {"name": container, "mib": int(told) // MIB})
    return passed(text, wanted) if int(told) == mib * MIB else failed(text, wanted, "other-limit")


@probe
async def stops(world: World, *, image: str, within: int = 1, ready: str = "") -> Finding:
    """A container of the image, run for this question alone, ends within ``within`` seconds of ``docker stop``.

    ``ready``: what its program prints when it is up.
    """
    from docker.errors import ImageNotFound

    wanted = Text("process.stops_wanted", {"image": image, "seconds": within})
    try:
        code, seconds = await asyncio.to_thread(_stop_one, world.docker_host, image, within, ready)
    except ImageNotFound:
        return failed(Text("docker.no_image", {"image": image}), wanted, "no-image")
    except NotReady as error:
        return failed(Text("process.not_ready", {"image": image, "last": str(error)}), wanted, "not-ready")
    if code == KILLED:
        return failed(Text("process.had_to_be_killed", {"image": image, "seconds": within}), wanted, "ignores-stop")
    return passed(Text("process.stopped", {"image": image, "seconds": seconds, "code": code}), wanted, code=code)


class NotReady(Exception):
    """The program ended, or never said that it is up; with its last line."""


def _stop_one(host: str | None, image: str, within: int, ready: str) -> tuple[int, float]:
    """Run one, wait until it is up, stop it: its exit code and how long it took. It is removed in any case."""
    from docker import DockerClient

    client = DockerClient(base_url=host, timeout=DOCKER_TIMEOUT_S)
    try:
        container = client.containers.run(image, detach=True, network_mode="none", labels={"limani.dev/probe": "stops"})
        try:
            _await_line(container, ready)
            begin = time.monotonic()
            container.stop(timeout=within)
            took = time.monotonic() - begin
            container.reload()
            return int(container.attrs["State"]["ExitCode"]), took
        finally:
            _remove(client, container.id)
    finally:
        client.close()


def _remove(client: DockerClient, container_id: str | None) -> None:
    if container_id:
        client.api.remove_container(container_id, force=True, v=True)


def _await_line(container: Container, ready: str) -> None:
    """Return when the program has printed ``ready``."""
    end = time.monotonic() + READY_S
    while True:
        container.reload()
        seen = container.logs().decode(errors="replace")
        if ready in seen:
            return
        if container.status != "running" or time.monotonic() > end:
            raise NotReady((seen.strip().splitlines() or ["-"])[-1])
        time.sleep(LOOK_S)


def _programs(words: list[str]) -> list[str]:
    """Names under which a command line runs a program: its own, or the script's where an interpreter runs it."""
    if words and _base(words[0]) in INITS:
        words = words[words.index("--") + 1 :] if "--" in words else words[1:]
    if not words:
        return []
    script = _base(words[1]) if len(words) > 1 and _base(words[0]) in SHELLS else ""
    return [_base(words[0]), script]


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _answer(path: Path) -> str | None:
    """What the learner wrote into the file, without white space around it."""
    try:
        with path.open("rb") as file:
            return file.read(ANSWER_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
