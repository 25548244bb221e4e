"""The shell behind the page: one, in the lesson's environment, and nothing of it is left when it ends."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from limani.lab.serve.terminal import members, parse, with_utf8
from tests.unit.lab.serve.places import Browser, MemoryDesk, open_page


@asynccontextmanager
async def connected(browser: Browser) -> AsyncIterator[WebSocketClientConnection]:
    """The terminal's web socket of a browser that is in."""
    if not browser.cookie:
        await browser.enter()
    request = HTTPRequest(f"{browser.base}/tty".replace("http:", "ws:"), headers=browser.good())
    socket = await websocket_connect(request)
    assert await socket.read_message() == '["setup", {}]'
    yield socket
    socket.close()


async def type_(socket: WebSocketClientConnection, text: str) -> None:
    await socket.write_message(json.dumps(["stdin", text]))


async def until(socket: WebSocketClientConnection, wanted: str) -> str:
    """Read what the shell prints until ``wanted`` is in it."""
    seen = ""
    async with asyncio.timeout(20):
        while wanted not in seen:
            message = await socket.read_message()
            assert message is not None, f"closed after {seen!r}"
            kind, text = json.loads(message)
            seen += text if kind == "stdout" else ""
    return seen


async def closed(socket: WebSocketClientConnection) -> None:
    async with asyncio.timeout(20):
        while await socket.read_message() is not None:
            pass


async def gone(pid: int) -> None:
    """Wait until a process of somebody else's has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, over.set)
    try:
        async with asyncio.timeout(20):
            await over.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)


async def test_types_greek_in_the_folder(tmp_path: Path) -> None:
    """What is typed reaches the shell in its folder with a UTF-8 locale; Greek goes there and back whole."""
    desk = MemoryDesk(tmp_path, environment={**os.environ, "LANG": "POSIX", "LC_ALL": ""})
    async with open_page(desk) as browser, connected(browser) as socket:
        await type_(socket, "printf '%s\\n' 'Καλημέρα' >file; cat file; locale charmap; pwd; echo done-$((1+1))\r")
        seen = await until(socket, "done-2")
        assert "UTF-8" in seen
        assert str(tmp_path) in seen
    assert (tmp_path / "file").read_text(encoding="utf-8") == "Καλημέρα\n"


async def test_one_shell_for_the_session(tmp_path: Path) -> None:
    """A second tab sees the same shell with what it printed before, and a reload does not lose it."""
    async with open_page(MemoryDesk(tmp_path)) as browser:
        async with connected(browser) as socket:
            await type_(socket, "echo first-$((40+2))\r")
            await until(socket, "first-42")
            pid = browser.room.terminal.pid
            async with connected(browser) as other:
                assert "first-42" in await until(other, "first-42")
                assert browser.room.terminal.pid == pid
        async with connected(browser) as socket:
            assert browser.room.terminal.pid == pid


async def test_nothing_is_left_at_the_end(tmp_path: Path) -> None:
    """When the server stops, every job of the shell ends, also one in the background that ignores the hangup."""
    async with open_page(MemoryDesk(tmp_path, command=("/bin/bash",))) as browser, connected(browser) as socket:
        await type_(socket, "nohup sleep 1000 & (trap '' HUP TERM; sleep 1001) & echo two-$((1+1))\r")
        await until(socket, "two-2")
        session = browser.room.terminal.pid
        assert session
        jobs = members(session)
        assert len(jobs) >= 3
    for pid in jobs:
        await gone(pid)
    assert members(session) == []


async def test_exit_ends_the_connection_and_a_new_shell_can_start(tmp_path: Path) -> None:
    """``exit`` closes the web socket even while a job holds the terminal; the next one has a new shell."""
    async with open_page(MemoryDesk(tmp_path, command=("/bin/bash",))) as browser:
        async with connected(browser) as socket:
            first = browser.room.terminal.pid
            await type_(socket, "(trap '' HUP; sleep 1000) & exit\r")
            await closed(socket)
        assert first
        assert members(first) == []
        async with connected(browser) as socket:
            assert browser.room.terminal.pid not in (None, first)


async def test_an_unused_shell_ends(tmp_path: Path) -> None:
    """After the idle time the shell is ended and the page is told why."""
    async with open_page(MemoryDesk(tmp_path), idle_s=0.2) as browser:
        async with connected(browser) as socket:
            pid = browser.room.terminal.pid
            assert pid
            await closed(socket)
        await gone(pid)
        assert browser.room.terminal.pid is None


@pytest.mark.parametrize(
    "message",
    [
        b"\xff",
        "{",
        "[]",
        '"stdin"',
        '["stdin"]',
        '["stdin", 1]',
        '["stdin", "a", "b"]',
        '["run", "id"]',
        '["set_size", 0, 80]',
        '["set_size", 24, 100000]',
        '["set_size", "24", 80]',
        '["set_size", 24]',
    ],
)
def test_messages_that_are_none(message: Any) -> None:
    """Only text to type and a sensible size are messages."""
    assert parse(message) is None


async def test_a_wrong_message_ends_the_connection(tmp_path: Path) -> None:
    """A client that says something else is cut off; the shell stays for the real page."""
    async with open_page(MemoryDesk(tmp_path)) as browser, connected(browser) as socket:
        await socket.write_message('["run", "id"]')
        await closed(socket)
        assert socket.close_code == 1008
        assert browser.room.terminal.pid


@pytest.mark.parametrize(
    ("given", "lang"),
    [
        ({"LANG": "el_GR.UTF-8"}, "el_GR.UTF-8"),
        ({"LANG": "en_US.utf8"}, "en_US.utf8"),
        ({"LANG": "el_GR.ISO-8859-7"}, "C.UTF-8"),
        ({"LANG": "el_GR.UTF-8", "LC_ALL": "C"}, "C.UTF-8"),
        ({}, "C.UTF-8"),
    ],
)
def test_locale(given: dict[str, str], lang: str) -> None:
    """A UTF-8 locale is kept; any other would garble Greek and gives way to C.UTF-8."""
    made = with_utf8(given)
    assert (made["LANG"], made.get("LC_ALL"), made["TERM"]) == (lang, None, "xterm-256color")
