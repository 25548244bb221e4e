"""The state survives whatever happens to the process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from limani.errors import BadInput
from limani.lab.state import Attempt, Store

WRITER = """
import sys
from pathlib import Path
from limani.lab.state import Attempt, Store
store = Store(Path(sys.argv[1]))
print("writing", flush=True)
while True:
    with store.change() as state:
        state.current = state.current or "a"
        state.lessons[state.current] = Attempt(values={"token": "x" * 50000})
        state.current = "b" if state.current == "a" else "a"
"""


def test_a_change_is_read_again(home: Path) -> None:
    """What was changed is there for the next process; the file is the owner's alone."""
    with Store(home).change() as state:
        state.current = "toy"
        state.lessons["toy"] = Attempt(values={"token": "t"})
    read = Store(home).read()
    assert (read.current, read.lessons["toy"].values) == ("toy", {"token": "t"})
    assert home.stat().st_mode & 0o077 == 0


def test_a_failed_change_changes_nothing(home: Path) -> None:
    """An exception inside leaves the file as it was, and nothing beside it."""
    store = Store(home)
    with store.change() as state:
        state.current = "toy"
    with pytest.raises(KeyError), store.change() as state:  # noqa: PT012 - the point is what comes before
        state.current = "other"
        raise KeyError
    assert store.read().current == "toy"
    assert [path.name for path in home.iterdir() if path.name.startswith(".")] == []


def test_kill_9_leaves_a_whole_state(home: Path) -> None:
    """A process killed while it writes over and over leaves a file that can be read, and no lock."""
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", WRITER, home], stdout=subprocess.PIPE) as writer:
            assert writer.stdout
            writer.stdout.readline()
            _wait_for_a_write(home)
            os.kill(writer.pid, signal.SIGKILL)
        state = Store(home).read()
        assert state.current in ("a", "b")
        assert all(len(lesson.values["token"]) == 50000 for lesson in state.lessons.values())
        with Store(home).change():
            pass


def _wait_for_a_write(home: Path) -> None:
    path = home / "state.json"
    before = path.stat().st_mtime_ns if path.exists() else None
    while not path.exists() or path.stat().st_mtime_ns == before:
        os.sched_yield()


def test_two_writers_lose_nothing(home: Path) -> None:
    """Changes of processes at the same time are all kept."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom limani.lab.state import Store\n"
        "for _ in range(30):\n    with Store(Path(sys.argv[1])).change() as s: s.progress_of('toy').checks += 1\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, home]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert Store(home).read().progress["toy"].checks == 90


@pytest.mark.parametrize("content", ["", "{", '{"version": 99}', '{"lessons": 3}'])
def test_a_spoiled_state_is_refused(home: Path, content: str) -> None:
    """A file that is no state is named, and what to do is said."""
    home.mkdir()
    (home / "state.json").write_text(content)
    with pytest.raises(BadInput, match=r"state\.json") as caught:
        Store(home).read()
    assert "limani lab down" in caught.value.hint


async def test_verbs_of_one_process_wait_for_each_other(home: Path) -> None:
    """Two tasks of a loop that want the lab for themselves get it one after the other."""
    store, order = Store(home), []

    async def work(name: str) -> None:
        async with store.verb():
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    async with asyncio.timeout(10):
        await asyncio.gather(work("a"), work("b"))
    assert [word.split()[0] for word in order] in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
