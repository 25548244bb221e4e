"""The places of the matrix, started once, and the stories of all lessons that are asked for, told by a worker each."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from limani.errors import LessonInvalid
from limani.lab import library
from limani.lab.lab import Lab
from limani.lab.lesson import Lesson
from tests.lab.story import Proof, Story, claims, tell
from tests.support.groups import Groups
from tests.support.plays import link_collection

PATIENCE_S = "15"
"""How long a probe may take here: several workers on two busy cores are no learner's machine."""
CLUSTERS = ("cluster", "other-cluster")
"""A cluster waits more than it works, so two get through the lessons in half the time."""
REUSE = "LIMANI_TEST_LAB"
"""Names a folder whose homes, daemon and cluster are used and kept (faster while developing)."""


@dataclass
class Telling:
    """Lessons being proved: the answer of each claim, and what it took."""

    answers: dict[tuple[str, str], Future[None]] = field(default_factory=dict)
    stories: list[Story] = field(default_factory=list)
    homes: dict[str, Path] = field(default_factory=dict)


_telling = Telling()
_figures: list[str] = []


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A home for each kind of place. Taken down afterwards, which must leave nothing."""
    kept = os.environ.get(REUSE)
    top = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="limani-lab-"))
    found = {kind: top / kind for kind in ("docker", *CLUSTERS)}
    previous = os.environ.get("LIMANI_LAB_PATIENCE")
    os.environ["LIMANI_LAB_PATIENCE"] = PATIENCE_S
    try:
        yield found
    finally:
        os.environ.pop("LIMANI_LAB_PATIENCE")
        if previous is not None:
            os.environ["LIMANI_LAB_PATIENCE"] = previous
        if not kept:
            for home in found.values():
                asyncio.run(Lab(home, "en").down())
            assert list(top.iterdir()) == []
            shutil.rmtree(top)


@pytest.fixture(scope="session")
def telling(
    request: pytest.FixtureRequest, homes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Telling]:
    """Tells the stories of the lessons whose tests were chosen: on the daemon and two clusters side by side."""
    collections = link_collection(tmp_path_factory.mktemp("collections"))
    chosen: dict[Path, list[str]] = {}
    for item in request.session.items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "folder" in parameters and "claim" in parameters:
            chosen.setdefault(parameters["folder"], []).append(parameters["claim"])
            _telling.answers[parameters["folder"].name, parameters["claim"]] = Future()
    queues: dict[str, list[tuple[Story, list[str]]]] = {kind: [] for kind in homes}
    for folder, names in chosen.items():
        try:
            lesson = library.load(folder)
        except LessonInvalid as error:
            for name in names:
                _telling.answers[folder.name, name].set_exception(error)
            continue
        kind = "docker"
        if lesson.needs_cluster:
            kind = min(CLUSTERS, key=lambda kind: sum(len(names) for _, names in queues[kind]))
        story = Story(lesson, homes[kind], collections)
        _telling.stories.append(story)
        queues[kind].append((story, names))
    threads = [threading.Thread(target=_tell_all, args=(queue,), daemon=True) for queue in queues.values() if queue]
    for thread in threads:
        thread.start()
    yield _telling
    for thread in threads:
        thread.join()


def _tell_all(queue: list[tuple[Story, list[str]]]) -> None:
    for story, names in queue:
        proofs: dict[str, Proof] = {name: proof for name, proof in claims(story.lesson) if name in names}

        def done(claim: str, error: BaseException | None, lesson: Lesson = story.lesson) -> None:
            answer = _telling.answers[lesson.folder.name, claim]
            answer.set_exception(error) if error else answer.set_result(None)

        asyncio.run(tell(story, proofs, done))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """Two groups for ``-n 2``: the matrix, and what kills and looks at places of its own."""
    return Groups(config, log, lambda nodeid: "matrix" if "test_matrix.py" in nodeid else "places")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the figures to the process that prints them, if that is another one."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["lab"] = figures()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the figures of a process that has ended."""
    _figures.extend(getattr(node, "workeroutput", {}).get("lab", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what checks and resets took: 95 of 100 were at most this long."""
    lines = _figures or figures()
    if lines:
        terminalreporter.section("learning lab: seconds, p95 (count)")
    for line in lines:
        terminalreporter.write_line(line)


def figures() -> list[str]:
    """A line for every lesson told by this process, the slowest claims, and all lessons together."""
    if not _telling.stories:
        return []
    lines = [
        f"{story.lesson.folder.name:<20} check {p95(story.checks)}   reset {p95(story.resets)}"
        for story in sorted(_telling.stories, key=lambda story: story.lesson.number)
    ]
    checks = [second for story in _telling.stories for second in story.checks]
    resets = [second for story in _telling.stories for second in story.resets]
    slowest = sorted(
        ((s, f"{story.lesson.folder.name}:{c}") for story in _telling.stories for c, s in story.took.items())
    )
    lines.append("slowest: " + ", ".join(f"{name} {s:.0f} s" for s, name in slowest[:-8:-1]))
    lines.append(f"{'all':<20} check {p95(checks)}   reset {p95(resets)}")
    return lines


def p95(seconds: list[float]) -> str:
    """The time that 95 of 100 do not exceed."""
    if not seconds:
        return "-"
    return f"{sorted(seconds)[math.ceil(len(seconds) * 0.95) - 1]:5.2f} ({len(seconds)})"
