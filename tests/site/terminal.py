"""The page of ``limani lab serve`` in a real browser: opening it, and a learner's hands and eyes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

from tests.unit.lab.serve.places import open_page

# The shell's prompt: exit code of the command before, and a number that grows.
PROMPT = r"^\[(\d+) (\d+)\] \$ $"
RC = "PS1='[$? \\#] $ '\nPROMPT_COMMAND=\nbind 'set enable-bracketed-paste on'\n"
# Resolves with the match when the line of the cursor, or the whole screen, matches; woken by what the shell prints.
# (Playwright's own waiting evaluates strings in the page, which the page's policy forbids.)
WHEN = """([pattern, all, least]) => new Promise((done, failed) => {
    const wanted = new RegExp(pattern);
    let last = '';
    setTimeout(() => failed(`the terminal never showed ${pattern}, last: ${last}`), 120000);
    const look = () => {
        const buffer = Shell.terminal.buffer.active;
        const line = at => buffer.getLine(at).translateToString(true);
        const text = all ? [...Array(buffer.length).keys()].map(line).join('\\n')
                         : line(buffer.baseY + buffer.cursorY);
        let found = text.match(wanted);
        if (found && least && Number(found[2]) < least) { found = null; }
        last = text;
        if (found) { listening.dispose(); done([...found]); }
        return found;
    };
    const listening = Shell.terminal.onWriteParsed(look);
    look();
})"""
SCREEN = """() => {
    const buffer = Shell.terminal.buffer.active;
    return [...Array(buffer.length).keys()].map(at => buffer.getLine(at).translateToString(true)).join('\\n');
}"""


@contextmanager
def served(desk: Any, idle_s: float = 600.0) -> Iterator[str]:
    """The page with ``desk`` behind it, in a thread of its own; gives the first link."""
    ready, links = threading.Event(), []

    async def run(stop: asyncio.Event) -> None:
        async with open_page(desk, idle_s) as browser:
            links.append(browser.room.gate.link)
            ready.set()
            await stop.wait()

    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(stop),), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield links[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()
        loop.close()


@contextmanager
def opened(browser: Browser, link: str, **context: Any) -> Iterator[Page]:
    """A tab on the page; afterwards nothing was asked of others and nothing went wrong, the policy's refusals too."""
    wrong: list[str] = []
    tab = browser.new_context(**{"viewport": {"width": 1360, "height": 850}, **context})
    tab.set_default_timeout(20_000)
    page = tab.new_page()
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if not ours(request.url, link) else None)
    try:
        page.goto(link)
        page.wait_for_selector("#terminal-state[data-state=connected]")
        yield page
        assert wrong == []
    finally:
        tab.close()


def ours(url: str, link: str) -> bool:
    """Whether an address is below the page's own path."""
    return url.startswith(link.partition("/enter")[0].replace("http:", url.partition(":")[0] + ":"))


def type_keys(page: Page, text: str) -> None:
    """Type with real key events, Greek too: Playwright's own typing hands foreign letters over without a key."""
    session = page.context.new_cdp_session(page)
    for letter in text:
        if letter == "\n":
            page.keyboard.press("Enter")
        else:
            session.send("Input.dispatchKeyEvent", {"type": "keyDown", "key": letter, "text": letter})
            session.send("Input.dispatchKeyEvent", {"type": "keyUp", "key": letter})
    session.detach()


def when(page: Page, pattern: str, *, anywhere: bool = False, least: int = 0) -> list[str]:
    """Wait until the terminal's current line (or any of it) matches; the match and its groups.

    ``least``: the second group must be a number not below it.
    """
    found: list[str] = page.evaluate(WHEN, [pattern, anywhere, least])
    return found


def prompt(page: Page) -> int:
    """Wait until the shell asks for a command; the prompt's number."""
    return int(when(page, PROMPT)[2])


def enter(page: Page, number: int) -> int:
    """Press Enter at the prompt of that number and wait for the next one; the exit code it shows."""
    page.keyboard.press("Enter")
    return int(when(page, PROMPT, least=number + 1)[1])


def run(page: Page, command: str) -> int:
    """Type a command into the terminal and run it; its exit code."""
    number = prompt(page)
    page.evaluate("() => Shell.focus()")
    type_keys(page, command)
    return enter(page, number)


def axe(page: Page, source: str) -> list[str]:
    """What axe finds wrong on the page as it is now."""
    page.evaluate(source)
    found: list[str] = page.evaluate("""async () => (await axe.run(document, {
        resultTypes: ['violations'],
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    })).violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 160)}`))""")
    return found


__all__ = ["RC", "SCREEN", "axe", "enter", "opened", "prompt", "run", "served", "type_keys", "when"]
