"""The one door to the learning lab, for the command, the modules and the web terminal."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from limani.errors import CommandFailed, LessonNotStarted, LessonUnknown
from limani.lab import actions, library, page, texts
from limani.lab.answers import Broken, LessonSummary, Started, all_pass, following
from limani.lab.hints import TIERS, Hint, first_open, hint_for
from limani.lab.lesson import Lesson
from limani.lab.lifecycle import Lifecycle, Say
from limani.lab.record import Result, Status
from limani.lab.runner import run_checks
from limani.lab.state import State, Store
from limani.lab.texts import language
from limani.lab.world import World

__all__ = ["Broken", "Lab", "LessonSummary", "Started", "all_pass", "default_home"]


def default_home() -> Path:
    """LIMANI_LAB_HOME, else below the user's folder for state."""
    if named := os.environ.get("LIMANI_LAB_HOME"):
        return Path(named).absolute()
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "limani" / "lab"


def quiet(line: str) -> None:
    """Progress nobody reads."""


class Lab:
    """The lab of one home, speaking one language. Where ``lesson`` is None the current one is meant."""

    def __init__(self, home: Path | None = None, lang: str | None = None) -> None:
        self.home = home or default_home()
        self.lang = language(lang)
        self.store = Store(self.home)
        self.lifecycle = Lifecycle(self.home, self.store)

    # --- looking --------------------------------------------------------------------------------------------------

    def lessons(self) -> list[LessonSummary]:
        """All lessons, by number."""
        state = self.store.read()
        return [self._summary(lesson, state) for lesson in library.load_all()]

    def current(self) -> str | None:
        """The id of the current lesson."""
        return self.store.read().current

    def lesson(self, name: str | None = None) -> Lesson:
        """The lesson of that id or number. Raises LessonUnknown, or LessonNotStarted if none is meant."""
        chosen = name or self.current()
        if chosen is None:
            raise LessonNotStarted("No lesson is started.")
        return library.find(chosen)

    def world(self, lesson: str | None = None) -> World:
        """The world of a started lesson; close it after use."""
        return self.lifecycle.world(self.lesson(lesson))

    def env(self, lesson: str | None = None) -> dict[str, str]:
        """What a shell needs to work in the lesson."""
        return dict(self.world(lesson).env) | {"LIMANI_LANG": self.lang}

    def steps(self, lesson: str | None = None) -> list[tuple[str, str, bool]]:
        """(Id, command with values filled in, whether it is shown) of every step of a started lesson."""
        chosen = self.lesson(lesson)
        values = self.world(chosen.id).values
        return [(step.id, actions.fill(step.run, values), step.shown) for step in chosen.steps]

    def page(self, lesson: str | None = None) -> str:
        """The lesson's page in Markdown with its steps as commands, values filled in if it is started."""
        chosen = self.lesson(lesson)
        attempt = self.store.read().lessons.get(chosen.id)
        return page.plain(
            chosen, self.lang, self.lifecycle.world(chosen).values if attempt else page.example_values(chosen)
        )

    def status(self) -> dict[str, Any]:
        """What is started, what has been done: JSON types."""
        state = self.store.read()
        lessons = [asdict(self._summary(lesson, state)) for lesson in library.load_all()]
        attempt = state.lessons.get(state.current or "")
        return {
            "home": str(self.home),
            "lang": self.lang,
            "current": state.current,
            "workspace": str(self.lifecycle.workspace(state.current)) if state.current else None,
            "namespace": attempt.namespace if attempt else None,
            "docker_host": attempt.docker_host if attempt else None,
            "broken": attempt.broken if attempt else None,
            "passed": sum(lesson["state"] == "passed" for lesson in lessons),
            "lessons": [
                lesson | {"hints": dict(state.progress[lesson["id"]].hints) if lesson["id"] in state.progress else {}}
                for lesson in lessons
            ],
        }

    def next(self) -> LessonSummary | None:
        """The lesson to do next: the current one until it is passed, then the one that follows."""
        state = self.store.read()
        everything = [self._summary(lesson, state) for lesson in library.load_all()]
        here = next((item for item in everything if item.id == state.current and item.state != "passed"), None)
        return here or following(everything, state.current)

    async def check(self, lesson: str | None = None) -> list[Result]:
        """The results of all checks; what passes is remembered."""
        chosen = self.lesson(lesson)
        async with self.lifecycle.world(chosen) as world:
            results = await run_checks(chosen, world, self.lang)
        with self.store.change() as state:
            progress = state.progress_of(chosen.id)
            progress.checks += 1
            progress.passed = [result.id for result in results if result.status == Status.PASS]
            attempt = state.lessons.get(chosen.id)
            if all_pass(results):
                progress.done = progress.done or time.time()
                if attempt and attempt.broken and attempt.broken_seen:
                    progress.breaks = sorted({*progress.breaks, attempt.broken})
                    attempt.broken, attempt.broken_seen = None, False
            elif attempt and attempt.broken:  # a break may take a moment to show
                attempt.broken_seen = True
        return results

    async def hint(self, lesson: str | None = None, check: str | None = None, tier: int | None = None) -> Hint:
        """The next hint for that check, or for the first that does not pass; when all pass, the whole of the first."""
        chosen = self.lesson(lesson)
        if check is not None and check not in [item.id for item in chosen.checks]:
            names = ", ".join(item.id for item in chosen.checks)
            text = f"The lesson {chosen.id} has no check {check!r}."
            raise LessonUnknown(text, hint=f"Its checks are {names}.", check=check)
        results = await self.check(chosen.id)
        about = check or first_open(results) or chosen.checks[0].id
        with self.store.change() as state:
            hints = state.progress_of(chosen.id).hints
            passed = {result.id: result.status for result in results}[about] == Status.PASS
            if passed:
                tier = tier or TIERS
            else:
                tier = tier or min(hints.get(about, 0) + 1, TIERS)
                hints[about] = max(tier, hints.get(about, 0))
            attempt = state.lessons[chosen.id]
        return hint_for(chosen, about, tier, attempt, self.lifecycle.world(chosen).values, self.lang)

    async def watch(self, lesson: str | None = None) -> AsyncIterator[list[Result]]:
        """The results now, and again whenever something happens that changes them."""
        from limani.lab.watch import changes

        chosen = self.lesson(lesson)
        async with self.lifecycle.world(chosen) as world:
            shown: list[Result] | None = None
            async for _ in changes(world):
                results = await self.check(chosen.id)
                if shown is None or _told(results) != _told(shown):
                    shown = results
                    yield results

    # --- changing -------------------------------------------------------------------------------------------------

    async def start(
        self, lesson: str, *, backend: str | None = None, docker: str | None = None, say: Say = quiet
    ) -> Started:
        """Make the lesson current and everything it needs; another lesson that was started is removed first."""
        began = time.monotonic()
        chosen = self.lesson(lesson)
        async with self.store.verb():
            for other in [name for name in self.store.read().lessons if name != chosen.id]:
                say(texts.say(self.lang, "start.leaving", lesson=other))
                await self.lifecycle.remove(library.find(other), say)
            attempt = self.store.read().lessons.get(chosen.id)
            resumed = attempt is not None and attempt.phase == "ready"
            if not (resumed and await self.lifecycle.resume(chosen, backend, docker, say)):
                resumed = False
                await self.lifecycle.start(chosen, backend, docker, say)
        world = self.lifecycle.world(chosen)
        return Started(
            lesson=chosen.id,
            title=chosen.texts[self.lang].title,
            workspace=str(world.workspace),
            namespace=world.namespace,
            docker_host=world.docker_host,
            address=world.address,
            resumed=resumed,
            seconds=round(time.monotonic() - began, 3),
        )

    async def reset(self, lesson: str | None = None, *, remove: bool = False, say: Say = quiet) -> None:
        """Bring the lesson back to its beginning, or with ``remove`` remove it altogether."""
        chosen = self.lesson(lesson)
        async with self.store.verb():
            attempt = self.store.read().lessons.get(chosen.id)
            if remove:
                await self.lifecycle.remove(chosen, say)
            elif attempt is None:
                self.lifecycle.world(chosen)  # says that it is not started
            else:
                await self.lifecycle.start(chosen, None, None, say)

    async def solve(self, lesson: str | None = None, say: Say = quiet) -> list[Result]:
        """Do for the learner what is still missing; from the beginning again if what is there stands in the way."""
        chosen = self.lesson(lesson)
        async with self.store.verb():
            results = await self._solve(chosen, say)
            if not all_pass(results):
                say(texts.say(self.lang, "solve.again"))
                await self.lifecycle.start(chosen, None, None, say)
                results = await self._solve(chosen, say)
        with self.store.change() as state:
            state.progress_of(chosen.id).solved_by_lab = True
        return results

    async def _solve(self, lesson: Lesson, say: Say) -> list[Result]:
        attempt = self.store.read().lessons.get(lesson.id)
        try:
            async with self.lifecycle.world(lesson) as world:
                if attempt and attempt.broken:
                    await self._run(lesson.break_(attempt.broken).fix, world, say)
                results = await self.check(lesson.id)
                for index, check in enumerate(lesson.checks):
                    if results[index].status != Status.PASS and check.solve:
                        await self._run(check.solve, world, say)
                        results = await self.check(lesson.id)
        except CommandFailed as error:
            say(error.message)
            results = await self.check(lesson.id)
        return results

    async def _run(self, commands: tuple[str, ...], world: World, say: Say) -> None:
        for command in commands:
            say(f"$ {actions.fill(command, world.values)}")
            await actions.run_all([command], world)

    async def break_(
        self, lesson: str | None = None, break_id: str | None = None, *, solve: bool = False, say: Say = quiet
    ) -> Broken:
        """Put a fault into the solved lesson: that one, else the first not mended before. ``solve``: solve it first."""
        chosen = self.lesson(lesson)
        if break_id is not None and break_id not in [item.id for item in chosen.breaks]:
            names = ", ".join(item.id for item in chosen.breaks) or "none"
            text = f"The lesson {chosen.id} has no break {break_id!r}."
            raise LessonUnknown(text, hint=f"Its breaks are {names}.", break_id=break_id)
        if not all_pass(await (self.solve(chosen.id, say) if solve else self.check(chosen.id))):
            text = f"Not all checks of {chosen.id} pass, and only what works can be broken."
            raise LessonNotStarted(text, hint="limani lab check says what is missing; limani lab solve does it.")
        mended = self.store.read().progress_of(chosen.id).breaks
        todo = [item.id for item in chosen.breaks if item.id not in mended] or [item.id for item in chosen.breaks]
        if not todo:
            raise LessonUnknown(f"The lesson {chosen.id} has no breaks.", lesson=chosen.id)
        break_ = chosen.break_(break_id or todo[0])
        async with self.store.verb():
            with self.store.change() as state:  # first, so that solve knows what to mend if this is killed
                state.lessons[chosen.id].broken = break_.id
            async with self.lifecycle.world(chosen) as world:
                await actions.run_all(break_.run, world)
        said = chosen.texts[self.lang].breaks[break_.id]
        values = world.values
        return Broken(
            chosen.id,
            break_.id,
            texts.fill(said.title, values, self.lang),
            texts.fill(said.story, values, self.lang),
        )

    async def down(self, say: Say = quiet, *, force: bool = False) -> None:
        """Remove everything of this lab, progress too. ``force``: also where a part cannot be asked or is not ours."""
        from limani.lab.down import take_down

        if self.home.exists():
            async with self.store.verb():
                await take_down(self.home, self.store, self.lifecycle, say, force)
            await asyncio.to_thread(shutil.rmtree, self.home)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _summary(self, lesson: Lesson, state: State) -> LessonSummary:
        said = lesson.texts[self.lang]
        progress = state.progress.get(lesson.id)
        word = "passed" if progress and progress.done else "started" if lesson.id in state.lessons else "new"
        return LessonSummary(
            lesson.id, lesson.number, said.title, said.goal, lesson.level, lesson.minutes, lesson.requires, word
        )


def _told(results: list[Result]) -> list[Mapping[str, Any]]:
    """What a reader of the results sees of them."""
    return [{**result.to_dict(), "evidence": None} for result in results]
