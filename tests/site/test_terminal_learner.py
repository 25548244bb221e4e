"""A learner finishes lessons in the browser, in both languages: types into the terminal, takes hints, presses Check.

LIMANI_SCREENSHOTS names a folder for pictures of the page as the learner leaves it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from docs import npm
from limani.lab import texts
from limani.lab.actions import fill
from limani.lab.hints import commands_for
from limani.lab.lab import Lab
from limani.lab.lesson import Lesson
from limani.lab.texts import fill as fill_text
from tests.site.terminal import RC, SCREEN, axe, enter, opened, prompt, run

pytestmark = [
    pytest.mark.site,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab's own Docker daemon and cluster need root"),
]
LIMANI = [str(Path(sys.executable).with_name("limani")), "lab"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lab's home with a shell whose prompt tells exit codes; afterwards nothing of the lab is left."""
    folder = tmp_path_factory.mktemp("learner")
    (folder / "rc").write_text(RC)
    shell = folder / "shell"
    shell.write_text(f"#!/bin/sh\nexec bash --rcfile {folder}/rc\n")
    shell.chmod(0o755)
    yield folder
    done = subprocess.run([*LIMANI, "down"], env=environment(folder), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not (folder / "lab").exists()


def environment(folder: Path) -> dict[str, str]:
    """The learner's environment."""
    return {**os.environ, "LIMANI_LAB_HOME": str(folder / "lab"), "SHELL": str(folder / "shell")}


@contextmanager
def server(folder: Path, lesson: str, lang: str) -> Iterator[str]:
    """``limani lab serve LESSON`` as a learner starts it; gives the link it prints, and stops it as Ctrl+C does."""
    command = [*LIMANI, "serve", lesson, "--lang", lang, "--allow-root"]
    log = folder / f"{lesson}-{lang}.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, env=environment(folder), stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout
        link = process.stdout.readline().strip()
        assert link, log.read_text()
        try:
            yield link
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, log.read_text()


@pytest.mark.parametrize("lang", ["en", "el"])
@pytest.mark.parametrize("name", ["first-success", "pods"])
def test_finishes(browser: Browser, home: Path, name: str, lang: str) -> None:
    """Unsolved is told so with all four parts; after every step and what the hints say all checks pass on the page."""
    lab = Lab(home / "lab", lang)
    if lab.current() == name:
        done = subprocess.run([*LIMANI, "reset"], env=environment(home), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    with server(home, name, lang) as link, opened(browser, link) as page:
        lesson = lab.lesson()
        assert page.locator("html").get_attribute("lang") == lang
        assert page.inner_text("h1") == lesson.texts[lang].title
        failing = check(page)
        assert failing[0] in [item.id for item in lesson.checks]
        words = page.locator("li[data-status=fail]").first.locator("dt").all_inner_texts()
        assert words == [texts.say(lang, f"serve.js.{word}") for word in ("found", "wanted", "why", "next")]
        hints(page, lab, lesson)
        walk(page, lab, lesson)
        finish(page, lab, lesson)
        seen(page, name)
        assert axe(page, npm.file(npm.AXE, "axe.min.js").decode()) == []
        pictures(page, f"{name}-{lang}")
    assert json.loads((home / "lab" / "state.json").read_text())["progress"][name]["done"]


def check(page: Page) -> list[str]:
    """Press Check; the ids of the checks that fail, none when the lesson is done.

    "Unknown" is what a busy machine answers that could not look in time; a learner then presses again.
    """
    until = time.monotonic() + 60
    while True:
        page.evaluate("() => document.getElementById('results').replaceChildren()")
        page.click("#check")
        page.wait_for_selector(".results", timeout=30_000)
        unknown = page.locator("li[data-status=unknown]").all_inner_texts()
        if not unknown:
            break
        assert time.monotonic() < until, unknown
    failing = page.locator("li[data-status=fail]").evaluate_all("items => items.map(item => item.dataset.check)")
    done = page.get_attribute(".sum", "data-done") == "true"
    assert done == (page.locator("li[data-status=pass]").count() == page.locator("li[data-check]").count())
    return [str(item) for item in failing]


def hints(page: Page, lab: Lab, lesson: Lesson) -> None:
    """Three presses of Hint: where to look, what is wrong, and only in the last tier the commands."""
    values = lab.world().values
    for _ in range(3):
        page.evaluate("() => document.getElementById('results').replaceChildren()")
        page.click("#hint")
        head = page.locator("#results .sum")
        head.wait_for()
        about, tier = str(head.get_attribute("data-check")), int(head.get_attribute("data-tier") or 0)
        said = [fill_text(text, values, lab.lang) for text in lesson.texts[lab.lang].checks[about].hints]
        commands = [fill(command, values) for command in solution(lab, lesson, about)] if tier == 3 else []
        assert page.locator("#results > p:not(.sum)").all_inner_texts() == [text.strip() for text in said[:tier]]
        assert page.locator("#results pre").all_inner_texts() == [text.strip() for text in commands]


def walk(page: Page, lab: Lab, lesson: Lesson) -> None:
    """Every step of the page by its button and Enter; what the page does silently between them is typed."""
    for step_id, command, shown in lab.steps():
        if shown:
            number = prompt(page)
            page.click(f"#step-{step_id} button.type")
            code = enter(page, number)
        else:
            code = run(page, command)
        if "\n" not in command.strip():
            assert code == lesson.step(step_id).exit, page.evaluate(SCREEN)[-800:]


def finish(page: Page, lab: Lab, lesson: Lesson) -> None:
    """For each check that fails do once what its last hint says. What was made may need a moment: look again."""
    values, done = lab.world().values, set()
    until = time.monotonic() + 60
    while failing := check(page):
        assert time.monotonic() < until, failing
        if failing[0] not in done:
            done.add(failing[0])
            for command in solution(lab, lesson, failing[0]):
                run(page, fill(command, values).rstrip("\n"))
            until = time.monotonic() + 60
    assert page.get_attribute(".sum", "data-done") == "true"


def solution(lab: Lab, lesson: Lesson, check_id: str) -> tuple[str, ...]:
    """The commands of the last hint."""
    return commands_for(lesson, check_id, lab.store.read().lessons[lesson.id])


def seen(page: Page, name: str) -> None:
    """The live picture shows what the learner made."""
    made = {"first-success": "page", "pods": "site"}[name]
    page.locator("#tables tbody th", has_text=made).first.wait_for()
    page.locator("#drawing .box.good .name", has_text=made).first.wait_for()


def pictures(page: Page, name: str) -> None:
    """The page as it is now, wide and on a phone."""
    if folder := os.environ.get("LIMANI_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")
        page.set_viewport_size({"width": 390, "height": 844})
        page.evaluate("() => document.getElementById('progress').scrollIntoView({ behavior: 'instant' })")
        page.screenshot(path=f"{folder}/{name}-phone.png")
