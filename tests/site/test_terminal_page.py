"""The web terminal's page as such: keyboard, screen reader, policy, both languages, light and dark, narrow and wide."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from docs import npm
from limani.lab import texts
from limani.lab.serve.feed import Feed
from limani.lab.serve.picture import ContainerView, NodeView, Picture, PodView
from tests.site.terminal import RC, SCREEN, axe, enter, opened, prompt, run, served, when
from tests.unit.lab.serve.places import MemoryDesk

pytestmark = [pytest.mark.site, pytest.mark.timeout(300)]

NODES = (NodeView("n1", True, ("web:1",)), NodeView("n2", False))
WELL = PodView("web", "n1", "Running", 1, 1, 0, "web:1")
ILL = PodView("broken", "n1", "ImagePullBackOff", 0, 1, 2, "web:9")
FULL = Picture(
    cluster="ok",
    namespace="pods",
    nodes=NODES,
    pods=(WELL, ILL, PodView("late", "", "Pending", 0, 1, 0, "web:1")),
    docker="ok",
    containers=(ContainerView("page", "web:1", "running", None, ("127.0.0.1:8080 → 8080",)),),
    images=("hello:1", "web:1"),
)
WIDE, PHONE = {"width": 1360, "height": 850}, {"width": 390, "height": 844}


async def full(feed: Feed) -> None:
    """A picture with something of everything."""
    feed.update(lambda before: FULL)
    await asyncio.Event().wait()


class Desk(MemoryDesk):
    """Checks with every kind of answer, on a page that tells bash's exit codes in its prompt."""

    async def check(self) -> dict[str, object]:
        kinds = ("pass", "fail", "blocked", "unknown")
        said = {"found": "this", "wanted": "that", "why": "because", "next": "do it"}
        results = [{"id": kind, "status": kind, "title": f"Check {kind}", **said} for kind in kinds]
        return {"lesson": "memory", "done": False, "sum": "1/4", "results": results}


@contextmanager
def terminal(
    browser: Browser, folder: Path, lang: str = "en", idle_s: float = 600.0, **context: object
) -> Iterator[Page]:
    """The page over a plain shell."""
    (folder / "rc").write_text(RC)
    desk = Desk(folder, lang, ("bash", "--rcfile", str(folder / "rc")), found=[full])
    with served(desk, idle_s) as link, opened(browser, link, **context) as page:
        page.wait_for_selector("#tables table")
        prompt(page)
        yield page


@pytest.mark.parametrize("lang", ["en", "el"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_accessible(browser: Browser, tmp_path: Path, lang: str, scheme: str, size: dict[str, int]) -> None:
    """axe finds nothing, with results, hints, a running shell and a full picture; no width scrolls sideways."""
    source = npm.file(npm.AXE, "axe.min.js").decode()
    with terminal(browser, tmp_path, lang, color_scheme=scheme, viewport=size) as page:
        run(page, "ls --color=always /; printf '\\033[38;2;200;180;90mcolour\\033[0m\\n'")
        page.click("#check")
        page.wait_for_selector(".results")
        assert page.locator("html").get_attribute("lang") == lang
        assert axe(page, source) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_style_without_inline_style(browser: Browser, tmp_path: Path) -> None:
    """Colours of programs are shown although the policy forbids inline style: xterm's own ways go another road."""
    with terminal(browser, tmp_path, color_scheme="dark") as page:
        run(page, "printf '\\033[38;2;10;200;30mgreen-%s\\033[0m\\n' word")
        green = page.locator(".xterm-rows span", has_text="green-word").last
        assert green.evaluate("element => getComputedStyle(element).color") == "rgb(10, 200, 30)"
        assert page.evaluate("document.querySelectorAll('style').length") == 0
        assert page.evaluate("document.adoptedStyleSheets.length") >= 2


def test_greek_by_real_keys(browser: Browser, tmp_path: Path) -> None:
    """Greek typed key by key arrives in the shell and comes back, in the mode for screen readers too."""
    with terminal(browser, tmp_path, "el") as page:
        assert run(page, "printf '%s\\n' 'Καλό μάθημα' | tee file") == 0
        assert "\nΚαλό μάθημα\n" in page.evaluate(SCREEN)
        page.locator(".xterm-accessibility", has_text="Καλό μάθημα").wait_for(state="attached")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "Καλό μάθημα\n"


def test_keys_leave_the_terminal(browser: Browser, tmp_path: Path) -> None:
    """Tab belongs to the shell; F6 goes round all parts of the page and Shift+F6 back, as the page says."""
    with terminal(browser, tmp_path) as page:
        assert "F6" in page.inner_text("#keys")
        here = "() => document.activeElement.closest('[data-part]')?.id"
        page.evaluate("() => Shell.focus()")
        page.keyboard.press("Tab")
        assert page.evaluate(here) == "terminal"
        order = []
        for _ in range(4):
            page.keyboard.press("F6")
            order.append(page.evaluate(here))
        assert order == ["picture", "lesson", "progress", "terminal"]
        page.keyboard.press("Shift+F6")
        assert page.evaluate(here) == "progress"


def test_everything_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    """Tab reaches every control of the page before the terminal, in reading order, each with a visible outline."""
    with terminal(browser, tmp_path) as page:
        page.evaluate("() => document.body.focus()")
        wanted = page.evaluate("""() => [...document.querySelectorAll(
            'header a, header button, #lesson button, #lesson a, #lesson summary, #progress button')].length""")
        seen = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement.closest('#screen') !== null"):
                break
            place = page.evaluate("""() => {
                const element = document.activeElement, style = getComputedStyle(element);
                if (parseFloat(style.outlineWidth) < 2) throw new Error('no outline: ' + element.outerHTML);
                return element.matches('a, button, summary') ? element.outerHTML : '';
            }""")
            seen |= {place} - {""}
        assert len(seen) == wanted


def test_buttons_type_what_is_seen(browser: Browser, tmp_path: Path) -> None:
    """The button of a step puts its command on the visible command line and nothing runs before Enter is pressed."""
    with terminal(browser, tmp_path) as page:
        number = prompt(page)
        page.click("button.type")
        when(page, "echo hello > file$")
        assert page.get_attribute("#terminal-state", "data-state") == "typed"
        assert not (tmp_path / "file").exists()
        assert enter(page, number) == 0
        assert (tmp_path / "file").read_text() == "hello\n"


def test_results_are_told_once(browser: Browser, tmp_path: Path) -> None:
    """Each answer stands in one polite live region, failing ones with found, wanted, why and next."""
    with terminal(browser, tmp_path) as page:
        page.click("#check")
        page.wait_for_selector(".results")
        region = page.locator("[aria-live=polite]#results")
        assert region.locator("li").count() == page.locator("li[data-check]").count() == 4
        for status, words in (("pass", 0), ("fail", 4), ("blocked", 1), ("unknown", 4)):
            item = region.locator(f"li[data-status={status}]")
            assert item.locator("dt").count() == words, status
        assert region.locator("li[data-status=fail] dd").all_inner_texts() == ["this", "that", "because", "do it"]
        assert page.get_attribute("#results", "aria-busy") == "false"


@pytest.mark.parametrize("lang", ["en", "el"])
def test_drawing_and_tables_say_the_same(browser: Browser, tmp_path: Path, lang: str) -> None:
    """Every name and state of the drawing is in the tables; the drawing has a name of its own."""
    with terminal(browser, tmp_path, lang) as page:
        tables = page.inner_text("#tables")
        drawn = page.locator("#drawing .name").all_text_contents()
        assert sorted(set(drawn)) == sorted({"web", "broken", "late", "page", "web:1", "hello:1"})
        assert all(name in tables for name in drawn)
        for word in ("ImagePullBackOff", "Pending", "running", "127.0.0.1:8080 → 8080", "n2"):
            assert word in tables, word
        assert page.get_attribute("#drawing svg", "aria-label")


def test_no_motion_where_none_is_wanted(browser: Browser, tmp_path: Path) -> None:
    """With reduced motion nothing scrolls smoothly and the cursor does not blink."""
    with terminal(browser, tmp_path, reduced_motion="reduce") as page:
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        assert page.evaluate("Shell.terminal.options.cursorBlink") is False
        assert page.evaluate("document.getAnimations().length") == 0


def test_language_button(browser: Browser, tmp_path: Path) -> None:
    """The button in the header turns the page into the other language and keeps the shell."""
    with terminal(browser, tmp_path) as page:
        run(page, "echo remember-$((20+3))")
        page.click("#language")
        page.wait_for_selector("html[lang=el]")
        page.wait_for_selector("#terminal-state[data-state=connected]")
        when(page, "remember-23", anywhere=True)
        words = json.loads(page.inner_text("#words") or page.locator("#words").text_content() or "")
        assert words["found"] == "Βρέθηκε"


def test_a_new_shell_after_exit(browser: Browser, tmp_path: Path) -> None:
    """After ``exit`` the page says so and offers a new shell, by keyboard."""
    with terminal(browser, tmp_path) as page:
        page.evaluate("() => Shell.focus()")
        page.keyboard.type("exit\n")
        page.wait_for_selector("#terminal-state[data-state=ended]")
        page.focus("#again")
        page.keyboard.press("Enter")
        page.wait_for_selector("#terminal-state[data-state=connected]")
        assert run(page, "true") == 0


def test_an_unused_shell_says_why_it_ended(browser: Browser, tmp_path: Path) -> None:
    """After the idle time the page says that nothing was typed, and offers a new shell."""
    with terminal(browser, tmp_path, "el", idle_s=1.5) as page:
        page.wait_for_selector("#terminal-state[data-state=idle]")
        assert page.inner_text("#terminal-state") == texts.say("el", "serve.js.idle")
        assert page.is_visible("#again")
