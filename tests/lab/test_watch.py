"""``limani lab watch`` reacts to events; it does not ask over and over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from limani.lab import actions, watch
from limani.lab.lab import Lab
from limani.lab.record import Status

pytestmark = [pytest.mark.integration, pytest.mark.lab]

TOYS = Path(__file__).parents[1] / "data" / "labs"


@pytest.mark.parametrize(
    ("kind", "lesson", "check"),
    [("docker", "toy", "running"), ("cluster", "toy-pod", "ready")],
)
async def test_watch_tells_what_happens(
    homes: dict[str, Path], kind: str, lesson: str, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the learner does shows by an event alone: nothing is looked at again for another reason."""
    monkeypatch.setenv("LIMANI_LABS", str(TOYS))
    monkeypatch.setattr(watch, "UNTOLD_S", 3600.0)
    lab = Lab(homes[kind], "en")
    await lab.start(lesson)
    try:
        seen: list[Status] = []
        async with asyncio.timeout(90), lab.world() as world:
            async for results in lab.watch():
                status = {result.id: result.status for result in results}[check]
                seen.append(status)
                if len(seen) == 1:
                    command = lab.lesson().check(check).solve
                    working = asyncio.create_task(actions.run_all(command, world))
                if status == Status.PASS:
                    break
            await working
        assert seen[0] == Status.FAIL
        assert seen[-1] == Status.PASS
    finally:
        await lab.reset(remove=True)
