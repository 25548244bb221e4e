"""Run the steps of lessons on the real thing and write what they print: ``python -m tests.lab.capture [LESSON]...``.

Each lesson is started afresh, its steps run in order, and ``labs/NN-name/outputs.yml`` gets what they wrote: nothing is
shortened or made up. Only what is random in this very lab is replaced, and the file says so: the lesson's random values
(by a word of the same length) and the folder of the lab.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from limani.lab import actions, library, page
from limani.lab.lab import Lab
from limani.lab.lesson import Lesson
from limani.lab.rules import RANDOM
from limani.lab.world import World

HEAD = """\
# Written by python -m tests.lab.capture: what the steps printed when they were run. Do not edit.
# Replaced: the lesson's random values ({values}), the folder of the lab (~/.local/state/limani/lab).
# Tabs are widened and blanks at the ends of lines left out. All else is as it was printed.
"""


async def capture(lab: Lab, lesson: Lesson) -> Path:
    """Run the lesson's steps and write its outputs; returns the file. Raises SystemExit where one ends otherwise."""
    await lab.reset(lesson.id, remove=True)
    await lab.start(lesson.id)
    outputs: dict[str, Any] = {}
    async with lab.world(lesson.id) as world:
        versions = await _versions(lesson, world)
        for step in lesson.steps:
            outcome = await actions.run(step.run, world)
            if outcome.exit != step.exit:
                sys.exit(f"{lesson.id}: {step.id} ended with {outcome.exit}, not {step.exit}:\n{outcome.output}")
            if step.shown:
                output = _plain(outcome.output, lesson, world)
                outputs[step.id] = {"command_sha256": page.digest(step.run), "exit": outcome.exit, "output": output}
    await lab.reset(lesson.id, remove=True)
    path = lesson.folder / "outputs.yml"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    content = {"date": today, "versions": versions, "steps": outputs}
    random = ", ".join(name for name, kind in lesson.values.items() if kind == RANDOM) or "none"
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    temporary = path.with_name(".outputs.yml.new")
    temporary.write_text(HEAD.format(values=random) + text, encoding="utf-8")
    temporary.replace(path)
    return path


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they look."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _plain(output: str, lesson: Lesson, world: World) -> str:
    for name, kind in lesson.values.items():
        if kind == RANDOM:
            output = output.replace(world.values[name], page.EXAMPLE)
    output = output.replace(str(world.workspace), page.example_values(lesson)["workspace"])
    # Both are nothing a reader sees, and YAML would not write such texts as they look.
    return "\n".join(line.expandtabs().rstrip() for line in output.splitlines()) + ("\n" if output else "")


async def _versions(lesson: Lesson, world: World) -> dict[str, str]:
    """Of what the lesson uses."""
    found = {}
    if lesson.needs_docker:
        told = await actions.run("docker version --format '{{.Client.Version}} {{.Server.Version}}'", world)
        client, server = told.output.split()
        found |= {"docker": client, "dockerd": server}
    if lesson.needs_cluster:
        told = await actions.run("kubectl version", world)
        pairs = dict(re.findall(r"(Client|Server) Version: v?(\S+)", told.output))
        found |= {"kubectl": pairs["Client"], "kubernetes": pairs["Server"]}
    return found


async def _capture_all(names: Sequence[str], home: Path) -> None:
    os.environ["LIMANI_LAB_PATIENCE"] = "15"
    lab = Lab(home, "en")
    for folder in library.folders():
        lesson_id = folder.name.partition("-")[2]
        if not names or lesson_id in names or folder.name in names:
            path = await capture(lab, library.load(folder))
            print(f"written: {path}", flush=True)


def main(names: Sequence[str]) -> None:
    """Capture the lessons of those names, or all. LIMANI_TEST_LAB names a folder whose places are used and kept."""
    kept = os.environ.get("LIMANI_TEST_LAB")
    top = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="limani-capture-"))
    for name in names:
        library.find(name)
    # Homes as the matrix has them, so that both can use what the other has started.
    docker = [name for name in _named(names) if not library.find(name).needs_cluster]
    cluster = [name for name in _named(names) if library.find(name).needs_cluster]
    try:
        for kind, chosen in (("docker", docker), ("cluster", cluster)):
            if chosen:
                asyncio.run(_capture_all(chosen, top / kind))
    finally:
        if not kept:
            for kind in ("docker", "cluster"):
                asyncio.run(Lab(top / kind, "en").down(force=True))
            shutil.rmtree(top)


def _named(names: Sequence[str]) -> list[str]:
    return [library.find(name).id for name in names] or [path.name.partition("-")[2] for path in library.folders()]


if __name__ == "__main__":
    main(sys.argv[1:])
