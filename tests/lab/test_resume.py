"""A verb killed at any moment is mended by running it again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limani.lab.lab import Lab, all_pass
from tests.lab.leftovers import listing

pytestmark = [pytest.mark.integration, pytest.mark.lab]

TOYS = Path(__file__).parents[1] / "data" / "labs"
LIMANI = Path(sys.executable).with_name("limani")
MOMENTS = (0.4, 0.7)
"""When the process is killed, as parts of the time it takes undisturbed."""


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMANI_LABS", str(TOYS))


def verb(home: Path, *arguments: str, after: float | None = None) -> float:
    """Run ``limani lab ...`` to its end, which must be good, or kill it ``after`` seconds; returns what it took."""
    began = time.monotonic()
    environment = {**os.environ, "LIMANI_LAB_HOME": str(home)}
    with subprocess.Popen([LIMANI, "lab", *arguments], env=environment, stdout=-1, stderr=-2, text=True) as process:
        try:
            said, _ = process.communicate(timeout=after)
            assert process.returncode == 0, said
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
    return time.monotonic() - began


@pytest.mark.parametrize(("kind", "lesson"), [("docker", "toy"), ("cluster", "toy-pod")])
async def test_every_verb_goes_on_after_kill_9(homes: dict[str, Path], kind: str, lesson: str) -> None:
    """start, solve, break and reset are killed in the middle; run again each reaches its end, and nothing is left."""
    home = homes[kind]
    lab = Lab(home, "en")
    verb(home, "start", lesson)
    verb(home, "reset", lesson, "--remove")
    before = await listing(lab, gone=lesson)
    begun = verb(home, "start", lesson)
    solved = verb(home, "solve")
    broken = verb(home, "break")
    for moment in MOMENTS:
        verb(home, "reset", after=moment * begun)
        verb(home, "reset")
        verb(home, "reset", "--remove", after=moment * begun)
        verb(home, "start", lesson, after=moment * begun)
        verb(home, "start", lesson)
        verb(home, "solve", after=moment * solved)
        verb(home, "solve")
        assert all_pass(await lab.check())
        verb(home, "break", after=moment * broken)
        verb(home, "solve")
        assert all_pass(await lab.check())
    verb(home, "reset", "--remove")
    assert await listing(lab, gone=lesson) == before
