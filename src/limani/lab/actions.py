"""What the engine does on the learner's behalf: fill in values, lay out the workspace, run commands."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limani.errors import CommandFailed, TimedOut
from limani.lab.lesson import Lesson
from limani.lab.rules import VALUE
from limani.lab.world import World

COMMAND_LIMIT_S = 180.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended; ``output``: what it wrote to standard output and standard error, in that order in time."""

    exit: int
    output: str


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with ``{{ name }}`` replaced by the value of that name; all else, Go templates too, stays as it is."""
    return VALUE.sub(lambda match: values.get(match[1], match[0]), text)


def fill_all(data: Any, values: Mapping[str, str]) -> Any:
    """``fill`` for every string inside lists and maps."""
    if isinstance(data, str):
        return fill(data, values)
    if isinstance(data, Mapping):
        return {key: fill_all(value, values) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [fill_all(item, values) for item in data]
    return data


def lay_out(lesson: Lesson, workspace: Path, values: Mapping[str, str]) -> None:
    """Fill the workspace from the lesson's ``files/`` (``.j2`` with values filled in, without the suffix).

    The folder itself stays the same one, since a learner's shell may stand in it. What was in it moves to
    ``<workspace>.before``, in place of what an earlier attempt left there.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    keep_aside(workspace)
    source = lesson.folder / "files"
    for path in sorted(source.rglob("*")) if source.is_dir() else []:
        target = workspace / path.relative_to(source)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif path.suffix == ".j2":
            target = target.with_suffix("")
            target.write_text(fill(path.read_text(encoding="utf-8"), values), encoding="utf-8")
            shutil.copymode(path, target)
        else:
            shutil.copy(path, target)


def keep_aside(workspace: Path) -> None:
    """Move what is in the workspace to ``<workspace>.before``, if there is anything."""
    children = list(workspace.iterdir()) if workspace.is_dir() else []
    if not children:
        return
    aside = workspace.with_name(workspace.name + ".before")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for child in children:
        shutil.move(child, aside / child.name)


async def run(command: str, world: World, limit_s: float = COMMAND_LIMIT_S) -> Outcome:
    """Run a shell command in the workspace. Raises TimedOut after ending all its processes."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-eu", "-c", fill(command, world.values)),
        cwd=world.workspace,
        env={**os.environ, **world.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limit_s):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise TimedOut(f"This command did not end within {limit_s:.0f} s: {command}", command=command) from error
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return Outcome(process.returncode or 0, output.decode(errors="replace"))


async def run_all(commands: Sequence[str], world: World) -> None:
    """Run commands one after the other. Raises CommandFailed with the output of the first that fails."""
    for command in commands:
        outcome = await run(command, world)
        if outcome.exit != 0:
            filled = fill(command, world.values)
            text = f"This command of the lesson {world.lesson} ended with {outcome.exit}: {filled}\n{outcome.output}"
            raise CommandFailed(text.rstrip(), command=filled, exit=outcome.exit, output=outcome.output)


def shell_command() -> list[str]:
    """The learner's shell."""
    return [os.environ.get("SHELL") or shutil.which("bash") or "/bin/sh"]
