"""Checks: all at once, blocked where an earlier one does not pass, unknown where nothing can be seen."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import msgspec
import pytest

from limani.errors import CommandFailed, KubeUnreachable, TimedOut
from limani.lab import actions, library, probes, runner
from limani.lab.hints import hint_for
from limani.lab.lesson import Check, Lesson
from limani.lab.record import Finding, Status, Text, failed, passed
from limani.lab.state import Attempt
from limani.lab.world import World

WANTED = Text("check.unreachable_wanted")


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "work").mkdir()
    return World(
        lesson="toy",
        workspace=tmp_path / "work",
        values={"token": "t1", "greeting": "hello", "workspace": "/w", "namespace": "", "address": "127.0.0.1"},
        namespace=None,
        kubeconfig=None,
        docker_host=None,
        address="127.0.0.1",
        env={"GREETING": "hello"},
        started=0.0,
    )


@pytest.fixture
def lesson(labs: Path) -> Lesson:
    return library.find("toy")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, lesson: Lesson) -> dict[str, object]:
    """What the probes of the toy's checks do: a finding to answer, an error to raise, seconds to take."""
    told: dict[str, object] = {}

    def get(name: str) -> probes.Probe:
        async def probe(world: World, **given: object) -> Finding:
            told.setdefault("given", []).append(given)  # type: ignore[attr-defined]
            answer = told[name]
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, float):
                await asyncio.sleep(answer)
            return answer if isinstance(answer, Finding) else passed(WANTED, WANTED)

        return probe

    monkeypatch.setattr(probes, "get", get)
    return told


async def test_a_check_that_needs_another_is_blocked(lesson: Lesson, world: World, answers: dict[str, object]) -> None:
    """Only the first failure is red; what needs it waits, and says for what."""
    answers |= {"docker.running": failed(WANTED, WANTED), "docker.logs_hold": failed(WANTED, WANTED)}
    first, second = await runner.run_checks(lesson, world, "en")
    assert (first.status, second.status) == (Status.FAIL, Status.BLOCKED)
    assert first.title in second.wanted
    assert answers["given"] == [{"container": "toy"}, {"container": "toy", "text": "hello"}]


@pytest.mark.parametrize(
    "error",
    [KubeUnreachable("The Kubernetes API server x cannot be reached."), OSError("refused"), KeyError("bug")],
)
@pytest.mark.parametrize("lang", ["en", "el"])
async def test_what_a_probe_raises_is_unknown(
    lesson: Lesson, world: World, answers: dict[str, object], error: Exception, lang: str
) -> None:
    """An API or daemon that does not answer, and a mistake in a probe, are not the learner's failure."""
    answers |= {"docker.running": error, "docker.logs_hold": 0.0}
    first, _ = await runner.run_checks(lesson, world, lang)
    assert first.status == Status.UNKNOWN
    assert all((first.found, first.wanted, first.why, first.next))
    assert "limani lab doctor" in first.next


async def test_the_answer_comes_in_two_seconds(
    lesson: Lesson, world: World, answers: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probes run at the same time, and one that does not answer is given up."""
    monkeypatch.delenv("LIMANI_LAB_PATIENCE", raising=False)
    answers |= {"docker.running": 0.3, "docker.logs_hold": 60.0}
    began = time.monotonic()
    first, second = await runner.run_checks(lesson, world, "en")
    assert time.monotonic() - began < 2.0
    assert (first.status, second.status) == (Status.PASS, Status.UNKNOWN)


async def test_a_known_cause_is_explained(lesson: Lesson, world: World, answers: dict[str, object]) -> None:
    """The lesson's words about the cause are said instead of the check's own; an unknown cause falls back to those."""
    answers |= {"docker.running": failed(WANTED, WANTED, "ended"), "docker.logs_hold": 0.0}
    first, _ = await runner.run_checks(lesson, world, "en")
    assert (first.why, first.next) == ("It was stopped.", "Start it again.")
    answers["docker.running"] = failed(WANTED, WANTED, "never-heard-of")
    first, _ = await runner.run_checks(lesson, world, "en")
    assert (first.why, first.next) == ("Only a process that runs can answer.", "Start it in the folder /w.")


async def test_a_command_has_the_lessons_values_and_environment(world: World) -> None:
    """Commands run in the workspace, with values filled in, and stop at the first that fails."""
    outcome = await actions.run("pwd; echo {{ token }} $GREETING; echo '{{.State}}' >&2; exit 3", world)
    assert outcome.exit == 3
    assert outcome.output == f"{world.workspace}\nt1 hello\n{{{{.State}}}}\n"
    with pytest.raises(CommandFailed, match=r"ended with 1: echo oops; false\noops"):
        await actions.run_all(["true", "echo oops; false", "touch never"], world)
    assert not (world.workspace / "never").exists()


async def test_a_command_that_hangs_is_ended_with_its_children(world: World) -> None:
    """After its time nothing of a command runs on."""
    with pytest.raises(TimedOut):
        await actions.run("sleep 1000 & echo $! > pid; wait", world, limit_s=0.5)
    pid = int((world.workspace / "pid").read_text())
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z" or not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return False
    return True


def test_the_workspace_is_laid_out_and_kept_aside(lesson: Lesson, world: World) -> None:
    """Files come with values filled in; what was there moves to .before, and the folder stays the same one."""
    inode = world.workspace.stat().st_ino
    (world.workspace / "mine.txt").write_text("work of an hour")
    actions.lay_out(lesson, world.workspace, world.values)
    assert (world.workspace / "token.txt").read_text() == "t1\n"
    assert [path.name for path in world.workspace.iterdir()] == ["token.txt"]
    assert (world.workspace.with_name("work.before") / "mine.txt").read_text() == "work of an hour"
    assert world.workspace.stat().st_ino == inode


def test_hints_come_in_three_tiers(lesson: Lesson, world: World) -> None:
    """Where to look, what is wrong, the commands; each with what was said before."""
    tiers = [hint_for(lesson, "logs", tier, Attempt(), world.values, "en") for tier in (1, 2, 3)]
    assert [hint.text for hint in tiers] == ["Look at its logs.", "The word is missing.", ""]
    assert [len(hint.earlier) for hint in tiers] == [0, 1, 2]
    assert tiers[2].commands == ("docker exec toy sh -c 'echo hello > /proc/1/fd/1'",)
    assert [hint.last for hint in tiers] == [False, False, True]


def test_the_third_hint_in_a_broken_lesson_mends_it(lesson: Lesson, world: World) -> None:
    """Where the break shows, its fix is told; a check without commands of its own tells those of what it needs."""
    broken = hint_for(lesson, "running", 3, Attempt(broken="ended"), world.values, "en")
    assert broken.commands[0] == "docker start toy"
    bare = msgspec.structs.replace(lesson, checks=(lesson.checks[0], Check(id="logs", probe="a.b", needs=("running",))))
    assert hint_for(bare, "logs", 3, Attempt(), world.values, "en").commands[0].startswith("docker run")
