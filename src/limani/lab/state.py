"""What the lab remembers, in one file that is whole at any time: a kill -9 leaves the old state or the new one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from limani.errors import BadInput

VERSION = 1


class Before(msgspec.Struct):
    """What the Docker daemon held when a lesson started: ids of containers, images with their names, networks, volumes.

    Whatever is there later and not here may be the lesson's.
    """

    containers: list[str] = []
    images: dict[str, list[str]] = {}
    networks: list[str] = []
    volumes: list[str] = []


class Attempt(msgspec.Struct):
    """A lesson that is started, or was being started or removed when the process ended (``phase``)."""

    phase: Literal["starting", "ready", "removing"] = "starting"
    values: dict[str, str] = {}
    started: float = 0.0
    namespace: str | None = None
    docker_host: str | None = None
    docker_own: bool = False
    address: str = "127.0.0.1"
    before: Before | None = None
    broken: str | None = None
    broken_seen: bool = False


class Progress(msgspec.Struct):
    """What the learner has done in a lesson; resets do not touch it. Hints are recorded, never held against anybody."""

    checks: int = 0
    passed: list[str] = []
    done: float | None = None
    hints: dict[str, int] = {}
    solved_by_lab: bool = False
    breaks: list[str] = []


class State(msgspec.Struct):
    """All of it."""

    version: int = VERSION
    current: str | None = None
    lessons: dict[str, Attempt] = {}
    progress: dict[str, Progress] = {}

    def progress_of(self, lesson: str) -> Progress:
        """The lesson's progress, made if there is none."""
        return self.progress.setdefault(lesson, Progress())


class Store:
    """The state of one home. Reading needs no lock, since the file is only ever replaced."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "state.json"

    def read(self) -> State:
        """The state; a new one where there is none. Raises BadInput if the file is not a state of this version."""
        try:
            state = msgspec.json.decode(self.path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except msgspec.DecodeError as error:
            raise BadInput(f"{self.path} is not a state of the lab: {error}.", hint=_SPOILED) from error
        if state.version != VERSION:
            text = f"{self.path} is of version {state.version}; this Limani knows {VERSION}."
            raise BadInput(text, hint=_SPOILED)
        return state

    @contextmanager
    def change(self) -> Iterator[State]:
        """The state to be changed; written when the block ends without an exception. Others wait meanwhile."""
        with self._locked():
            state = self.read()
            yield state
            self._write(state)

    @asynccontextmanager
    async def verb(self) -> AsyncIterator[None]:
        """Held by a verb that changes the lab from its beginning to its end; the next one waits."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.home / "verb.lock").open("w") as lock:
            # In a thread: the one who holds it may be a task of this very loop.
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The kernel lets go of the lock when the process ends, in whatever way.
        with (self.home / "state.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, state: State) -> None:
        content = msgspec.json.format(msgspec.json.encode(state), indent=1)
        handle, temporary = tempfile.mkstemp(dir=self.home, prefix=".state-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


_SPOILED = "Remove the lab and its state (limani lab down --force) and start again."
