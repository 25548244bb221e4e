"""One lesson from its start to its removal, with the proof of every claim that is made about it.

A case begins with a reset. The claims of a lesson are proved one after the other on one daemon or cluster; a claim that
fails does not keep the next ones from being looked at.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from limani.lab import actions
from limani.lab.hints import TIERS
from limani.lab.lab import Lab
from limani.lab.lesson import Lesson
from limani.lab.record import Result, Status
from tests.lab.leftovers import listing

Proof = Callable[["Story"], Awaitable[None]]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
PLAYBOOK_S = 180
CHECK_LIMIT_S = 20.0
RESET_LIMIT_S = 60.0
"""Generous, since the machine may be busy; the figures at the end say what it really took."""


class Story:
    """Proves the claims of one lesson in one home."""

    def __init__(self, lesson: Lesson, home: Path, collections: Path) -> None:
        self.lesson = lesson
        self.lab = Lab(home, "en")
        self.greek = Lab(home, "el")
        self.collections = collections
        self.checks: list[float] = []
        self.resets: list[float] = []
        self.took: dict[str, float] = {}

    async def check(self) -> list[Result]:
        """The checks' results, timed."""
        began = time.monotonic()
        results = await self.lab.check(self.lesson.id)
        self.checks.append(time.monotonic() - began)
        assert self.checks[-1] < CHECK_LIMIT_S
        return results

    async def reset(self) -> None:
        """Back to the beginning, timed."""
        began = time.monotonic()
        await self.lab.reset(self.lesson.id)
        self.resets.append(time.monotonic() - began)
        assert self.resets[-1] < RESET_LIMIT_S

    async def run(self, *commands: str) -> None:
        """Run commands as a learner would."""
        async with self.lab.world(self.lesson.id) as world:
            await actions.run_all(commands, world)

    async def solve(self) -> None:
        """What the third hints say, check by check, as the learner would follow them."""
        results = await self.check()
        for check in self.lesson.checks:
            if {result.id: result.status for result in results}[check.id] == Status.PASS:
                continue
            hint = await self.lab.hint(self.lesson.id, check.id, TIERS)
            assert hint.commands, f"no command helps with {check.id}"
            await self.run(*hint.commands)
            results = await self.check()
        passes(results)

    def playbook(self, name: str) -> str:
        """Run a playbook of the lesson; returns what Ansible said."""
        environment = {
            **os.environ,
            "LIMANI_LAB_HOME": str(self.lab.home),
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [ANSIBLE, self.lesson.folder / name]
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PLAYBOOK_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[None]:
        """A case of its own."""
        await self.reset()
        yield


def passes(results: list[Result]) -> None:
    """All of them do."""
    assert all(result.status == Status.PASS for result in results), told(results)


def fails_only(results: list[Result], wanted: str) -> Result:
    """Exactly that check fails; the others pass or wait for it."""
    failing = [result.id for result in results if result.status == Status.FAIL]
    assert failing == [wanted], told(results)
    assert not [result.id for result in results if result.status == Status.UNKNOWN], told(results)
    return next(result for result in results if result.id == wanted)


def told(results: list[Result]) -> str:
    """Results for the message of a failed test."""
    lines = [f"{r.id}: {r.status}, cause {r.cause}, found: {r.found}, wanted: {r.wanted}" for r in results]
    extra = [f"   {r.evidence}" for r in results if r.status == Status.UNKNOWN]
    return "\n" + "\n".join(lines + extra)


async def unsolved(story: Story) -> None:
    """A fresh lesson fails, and says in both languages what was found, what was wanted, why and what next."""
    results = await story.check()
    assert [r for r in results if r.status == Status.FAIL], told(results)
    assert not [r for r in results if r.status == Status.UNKNOWN], told(results)
    for result in [*results, *await story.greek.check(story.lesson.id)]:
        if result.status != Status.PASS:
            assert all((result.title, result.found, result.wanted, result.why, result.next)), result


async def steps(story: Story) -> None:
    """Every step of the page ends with the exit code the lesson tells."""
    async with story.fresh(), story.lab.world(story.lesson.id) as world:
        for step in story.lesson.steps:
            outcome = await actions.run(step.run, world)
            assert outcome.exit == step.exit, f"{step.id}: exit {outcome.exit}: {outcome.output}"


async def solution(story: Story) -> None:
    """The commands of the third hints, one check after the other, solve the lesson."""
    async with story.fresh():
        await story.solve()


async def by_playbook(story: Story) -> None:
    """solve.yml solves the lesson, and run again it fails nothing."""
    async with story.fresh():
        await asyncio.to_thread(story.playbook, "solve.yml")
        passes(await story.check())
        await asyncio.to_thread(story.playbook, "solve.yml")
        passes(await story.check())


async def by_reset_playbook(story: Story) -> None:
    """reset.yml brings a solved lesson back to its beginning, and start.yml leaves a started one as it is."""
    await asyncio.to_thread(story.playbook, "reset.yml")
    assert [r for r in await story.check() if r.status == Status.FAIL]
    said = await asyncio.to_thread(story.playbook, "start.yml")
    assert "changed=0" in said, said


def alternative(name: str) -> Proof:
    """Another whole solution passes."""

    async def proof(story: Story) -> None:
        async with story.fresh():
            chosen = {item.id: item for item in story.lesson.alternatives}[name]
            await story.run(*chosen.run)
            passes(await story.check())

    return proof


def near_miss(name: str) -> Proof:
    """Something nearly right fails with exactly the check it is meant to fail."""

    async def proof(story: Story) -> None:
        async with story.fresh():
            chosen = {item.id: item for item in story.lesson.near_misses}[name]
            await story.run(*chosen.run)
            fails_only(await story.check(), chosen.fails)

    return proof


def broken(name: str) -> Proof:
    """A fault in the solved lesson is diagnosed by its id and turns nothing else red; its fix makes all pass again."""

    async def proof(story: Story) -> None:
        results = await story.check()
        if not all(result.status == Status.PASS for result in results):
            await story.reset()
            await story.solve()
        break_ = story.lesson.break_(name)
        told_story = await story.lab.break_(story.lesson.id, name)
        assert told_story.id == name
        failing = fails_only(await story.check(), break_.fails)
        assert failing.cause == name, told([failing])
        assert failing.why
        assert failing.next
        hint = await story.lab.hint(story.lesson.id, break_.fails, TIERS)
        await story.run(*hint.commands)
        passes(await story.check())

    return proof


def claims(lesson: Lesson) -> Iterator[tuple[str, Proof]]:
    """(Name, proof) of everything claimed about a lesson, in the order of proving."""
    yield "unsolved-fails", unsolved
    yield "steps-run", steps
    for miss in lesson.near_misses:
        yield f"near-miss-{miss.id}", near_miss(miss.id)
    for other in lesson.alternatives:
        yield f"alternative-{other.id}", alternative(other.id)
    yield "playbook-solves", by_playbook
    yield "playbook-resets", by_reset_playbook
    yield "solution-passes", solution
    for break_ in lesson.breaks:
        yield f"break-{break_.id}", broken(break_.id)
    yield "nothing-left", nothing_left


async def nothing_left(story: Story) -> None:
    """After the lesson is removed the daemon and the cluster hold what they held before it started."""
    raise AssertionError("proved by tell(), which knows what was there before")


async def tell(story: Story, wanted: dict[str, Proof], done: Callable[[str, BaseException | None], None]) -> None:
    """Prove the ``wanted`` claims; ``done`` hears of each, with what spoke against it."""
    try:
        await _images(story)
        before = await listing(story.lab, gone=story.lesson.id)
        await story.lab.start(story.lesson.id)
    except BaseException as error:  # noqa: BLE001 - told to every test of the lesson
        for name in wanted:
            done(name, error)
        return
    for name, proof in wanted.items():
        if proof is nothing_left:
            continue
        began = time.monotonic()
        error = await _proved(proof(story))
        story.took[name] = time.monotonic() - began
        done(name, error)
    error = await _proved(_removed(story, before))
    if "nothing-left" in wanted:
        done("nothing-left", error)


async def _images(story: Story) -> None:
    """The places stand and hold the lesson's images before anything is compared: those stay until ``down``."""
    await story.lab.start(story.lesson.id)
    await story.lab.reset(story.lesson.id, remove=True)


async def _removed(story: Story, before: dict[str, object]) -> None:
    await story.lab.reset(story.lesson.id, remove=True)
    after = await listing(story.lab, gone=story.lesson.id)
    assert after == before


async def _proved(proof: Awaitable[None]) -> BaseException | None:
    try:
        async with asyncio.timeout(240):
            await proof
    except BaseException as error:  # noqa: BLE001 - told to the test of the claim
        return error
    return None
