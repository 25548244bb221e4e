"""What the page needs of the lab, for the current lesson in the learner's language."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from limani.errors import LimaniError
from limani.lab import actions, page, texts
from limani.lab.answers import following
from limani.lab.lab import Lab, all_pass
from limani.lab.lesson import LANGUAGES, Lesson, LessonTexts
from limani.lab.record import Result, Status
from limani.lab.serve import render, sources
from limani.lab.serve.captures import Captures
from limani.lab.serve.feed import Feed
from limani.lab.serve.picture import Change
from limani.lab.serve.terminal import Shell

T = TypeVar("T")
PREFIX = "serve."
SCRIPT = "serve.js."


class View:
    """A lesson as the page shows it, made once for each time the page is loaded."""

    def __init__(self, lab: Lab) -> None:
        self.lang = lab.lang
        self.lesson: Lesson = lab.lesson()
        self.texts: LessonTexts = self.lesson.texts[lab.lang]
        self._world = lab.world()
        self._commands = {step_id: run for step_id, run, _ in lab.steps()}

    @cached_property
    def words(self) -> dict[str, str]:
        """Texts of the page by their id without its prefix."""
        values = {
            "lesson": self.texts.title,
            "number": self.lesson.number,
            "minutes": self.lesson.minutes,
            "goal": self._filled(self.texts.goal),
        }
        found = texts.catalogue(self.lang)
        words = {name.removeprefix(PREFIX): text for name, text in found.items() if name.startswith(PREFIX)}
        words["lesson"] = texts.say(self.lang, "serve.lesson", number=self.lesson.number)
        for name in ("title", "minutes", "goal"):
            words[name] = texts.say(self.lang, PREFIX + name, **_used(found[PREFIX + name], values))
        return words

    @property
    def script_words(self) -> str:
        """What the scripts say, as JSON that cannot end the element it stands in."""
        found = texts.catalogue(self.lang)
        words = {name.removeprefix(SCRIPT): text for name, text in found.items() if name.startswith(SCRIPT)}
        return json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")

    @property
    def html(self) -> str:
        """The lesson's text."""
        captures = Captures(self.lesson, self.lang)
        words = self.words
        labels = render.Words(words["type"], words["type_label"], words["output"], words["exit"], words["file"])

        def step(step_id: str) -> render.Command:
            return captures.command(step_id, self._commands[step_id])

        def file(path: str) -> str:
            return page.file(self.lesson, path, self._world.values)

        markdown = actions.fill(self.lesson.markdown(self.lang), self._world.values)
        return render.render(markdown, step, file, labels)

    @property
    def check_titles(self) -> list[str]:
        """What is checked, in order."""
        return [self._filled(self.texts.checks[check.id].title) for check in self.lesson.checks]

    def _filled(self, text: str) -> str:
        return texts.fill(text, self._world.values, self.lang)


class Desk:
    """One learner's lab. What may block runs in threads, so that the terminal never stands still."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._leaving: str | None = None

    @property
    def lang(self) -> str:
        return self.lab.lang

    def say(self, message: str, **values: Any) -> str:
        """A message in the learner's language."""
        return texts.say(self.lang, message, **values)

    def sentence(self, change: Change) -> str:
        """A change of the live picture as a sentence."""
        pattern = texts.catalogue(self.lang)[change.message]
        return self.say(change.message, **_used(pattern, change.values))

    def problem(self, error: LimaniError) -> dict[str, str]:
        """An error for the page: in Greek its kind and what to do, with the English words that say where and why."""
        known = texts.explained(error, self.lang)
        if known is None:
            return {"message": error.message, "hint": error.hint}
        meaning, hint = known
        return {"message": f"{meaning} ({error.message})", "hint": hint}

    def view(self) -> View:
        """The current lesson; raises LessonNotStarted."""
        return View(self.lab)

    def shell(self) -> Shell:
        """What ``limani lab shell`` would start."""
        environment = {**os.environ, **self.lab.env()}
        return Shell(actions.shell_command(), environment, Path(self.lab.world().workspace))

    async def check(self) -> dict[str, Any]:
        """The results of all checks and their sum."""
        results = await _apart(self.lab.check)
        done = all_pass(results)
        passed = sum(result.status == Status.PASS for result in results)
        total = len(results)
        sum_ = self.say("serve.sum_done", total=total) if done else self.say("serve.sum", passed=passed, total=total)
        return {"lesson": self.lab.current(), "done": done, "sum": sum_, "results": [_shown(one) for one in results]}

    async def hint(self) -> dict[str, Any]:
        """The next hint for the first check that does not pass."""
        hint = await _apart(self.lab.hint)
        lines = [*hint.earlier, hint.text] if hint.text else [*hint.earlier]
        return {
            "lesson": self.lab.current(),
            "check": hint.check,
            "title": hint.title,
            "tier": hint.tier,
            "lines": lines,
            "commands": list(hint.commands),
        }

    async def next(self) -> dict[str, Any]:
        """Start the lesson after this one. One that is not done is left only when asked twice."""
        lessons = await asyncio.to_thread(self.lab.lessons)
        current = self.lab.current()
        chosen = following(lessons, current)
        if chosen is None:
            return {"text": self.say("serve.last")}
        state = next((lesson.state for lesson in lessons if lesson.id == current), "passed")
        if state != "passed" and self._leaving != current:
            self._leaving = current
            return {"text": self.say("serve.leave", next=chosen.title)}
        self._leaving = None
        await _apart(lambda: self.lab.start(chosen.id))
        return {"reload": True}

    def switch(self) -> dict[str, Any]:
        """Speak the other language from now on."""
        other = next(lang for lang in LANGUAGES if lang != self.lang)
        self.lab = Lab(self.lab.home, other)
        return {"reload": True}

    def sources(self, feed: Feed) -> Sequence[Coroutine[Any, Any, None]]:
        """What keeps the live picture of the current lesson up to date."""
        world, lesson = self.lab.world(), self.lab.lesson()
        found: list[Coroutine[Any, Any, None]] = []
        if lesson.needs_cluster and world.kubeconfig:
            found.append(sources.cluster(world.kubeconfig, feed.update))
        if lesson.needs_docker and world.docker_host:
            found.append(sources.docker(world.docker_host, feed.update))
        return found


def _shown(result: Result) -> dict[str, Any]:
    """A result for the page; evidence is for programs."""
    return {name: value for name, value in result.to_dict().items() if name not in ("evidence", "cause")}


def _used(pattern: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values a message has placeholders for."""
    return {name: value for name, value in values.items() if "{" + name + "}" in pattern}


async def _apart(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine of the lab in a thread with a loop of its own: parts of it block."""
    return await asyncio.to_thread(lambda: asyncio.run(work()))
