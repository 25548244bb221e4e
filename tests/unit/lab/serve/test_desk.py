"""Small decisions of the page: the next lesson, the words, the libraries, who may serve."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from limani.cli.lab_serve import serve
from limani.errors import LabPageIncomplete, LabPageRefused, LessonNotStarted
from limani.lab import library, texts
from limani.lab.answers import following
from limani.lab.lab import Lab, LessonSummary
from limani.lab.page import digest
from limani.lab.serve import server, vendor
from limani.lab.serve.captures import Captures
from limani.lab.serve.desk import Desk
from limani.lab.serve.feed import Feed
from limani.lab.serve.terminal import members
from tests.unit.lab.serve.places import MemoryDesk, open_page
from tests.unit.lab.serve.test_terminal import closed, connected


def summary(number: int, state: str) -> LessonSummary:
    return LessonSummary(f"l{number}", number, "", "", "beginner", 1, (), state)


@pytest.mark.parametrize(
    ("states", "current", "wanted"),
    [
        ({0: "passed", 1: "new", 3: "new"}, "l0", "l1"),
        ({0: "started", 1: "passed", 3: "new"}, "l0", "l3"),
        ({0: "new", 3: "started"}, "l3", "l0"),
        ({0: "passed", 3: "started"}, "l3", None),
        ({0: "passed", 3: "passed"}, None, None),
        ({0: "new", 3: "new"}, None, "l0"),
    ],
)
def test_following(states: dict[int, str], current: str | None, wanted: str | None) -> None:
    """The next one not passed, then what was left out; never the current one."""
    found = following([summary(number, state) for number, state in states.items()], current)
    assert (found.id if found else None) == wanted


@pytest.mark.parametrize(("lang", "told"), [("en", "No lesson"), ("el", "μάθημα")])
def test_an_error_in_both_languages(tmp_path: Path, lang: str, told: str) -> None:
    """The page tells the lab's errors in the learner's language, with what to do next."""
    found = Desk(Lab(tmp_path, lang)).problem(LessonNotStarted("No lesson is started."))
    assert told in found["message"] + found["hint"]
    assert "No lesson is started." in found["message"]
    assert "limani lab start" in found["hint"]


async def test_without_a_lesson_the_page_says_what_to_do(tmp_path: Path) -> None:
    """A lab without a started lesson is no crash: the page and the buttons say how to start one."""
    async with open_page(Desk(Lab(tmp_path, "en"))) as browser:
        await browser.enter()
        page = await browser.ask("GET", "", {"Cookie": browser.cookie})
        assert (page.code, "limani lab start" in page.body.decode()) == (409, True)
        answer = await browser.ask("POST", "check", browser.good())
        assert (answer.code, "limani lab start" in json.loads(answer.body)["error"]["hint"]) == (409, True)


def test_libraries_are_what_was_published(tmp_path: Path) -> None:
    """A missing file and one flipped byte are both named, with what to do."""
    vendor.verify()
    with pytest.raises(LabPageIncomplete, match=r"xterm\.js is not in"):
        vendor.verify(tmp_path)
    for name in vendor.DIGESTS:
        (tmp_path / name).write_bytes((vendor.FOLDER / name).read_bytes())
    vendor.verify(tmp_path)
    spoiled = bytearray((tmp_path / "xterm.js").read_bytes())
    spoiled[1000] ^= 1
    (tmp_path / "xterm.js").write_bytes(spoiled)
    with pytest.raises(LabPageIncomplete, match="not what was published") as told:
        vendor.verify(tmp_path)
    assert "make setup" in told.value.hint


def test_root_must_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root nothing is started unless it is said; the message says why and the hint when it is right."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(server, "listen", lambda *_: pytest.fail("listened"))
    result = CliRunner().invoke(serve, [])
    assert isinstance(result.exception, LabPageRefused)
    assert "root" in result.exception.message
    assert "--allow-root" in result.exception.hint


def test_listens_on_loopback_only() -> None:
    """The socket is bound to loopback; a port somebody has is refused with a hint."""
    with server.listen(0) as found:
        assert found.getsockname()[0] == "127.0.0.1"
        with pytest.raises(LabPageRefused, match="cannot be used"):
            server.listen(found.getsockname()[1])
    assert set(server.ADDRESSES) == {"127.0.0.1", "::1"}


async def test_no_other_address_answers(tmp_path: Path) -> None:
    """Another address of this machine, even another one of loopback, refuses the connection."""
    async with open_page(MemoryDesk(tmp_path)) as browser:
        port = int(browser.room.gate.host.rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


def test_words_are_all_used_and_known() -> None:
    """Every text the scripts and the template ask for exists in both languages."""
    folder = vendor.FOLDER.parent
    template = (folder / "page.html").read_text(encoding="utf-8")
    asked = {part.partition("]")[0].strip("\"'") for part in template.split("words[")[1:]}
    for lang in ("en", "el"):
        known = {name.removeprefix("serve.") for name in texts.catalogue(lang) if name.startswith("serve.")}
        assert asked <= known


class TwoLessons:
    """A lab with one lesson started and one after it."""

    lang = "en"

    def __init__(self, state: str) -> None:
        self.state = state
        self.started: list[str] = []

    def lessons(self) -> list[LessonSummary]:
        return [summary(0, self.state), summary(1, "new")]

    def current(self) -> str:
        return "l0"

    async def start(self, name: str) -> None:
        self.started.append(name)


async def test_next() -> None:
    """A lesson that is done is left at once, one that is not only when Next is pressed twice in a row."""
    done = TwoLessons("passed")
    assert await Desk(done).next() == {"reload": True}  # type: ignore[arg-type]
    assert done.started == ["l1"]
    open_ = TwoLessons("started")
    desk = Desk(open_)  # type: ignore[arg-type]
    assert "once more" in (await desk.next())["text"]
    assert open_.started == []
    assert await desk.next() == {"reload": True}
    assert open_.started == ["l1"]


class Leaving(MemoryDesk):
    """Next works."""

    async def next(self) -> dict[str, object]:
        return {"reload": True}


async def test_next_ends_the_shell(tmp_path: Path) -> None:
    """The shell of a lesson that is left ends; the next page gets one in the new lesson's folder and environment."""
    async with open_page(Leaving(tmp_path)) as browser, connected(browser) as socket:
        pid = browser.room.terminal.pid
        assert (await browser.ask("POST", "next", browser.good())).code == 200
        await closed(socket)
        assert pid
        assert members(pid) == []
        async with connected(browser):
            assert browser.room.terminal.pid not in (None, pid)


async def test_a_page_that_goes_frees_its_sources(tmp_path: Path) -> None:
    """The live picture stops watching as soon as the last page is closed, not when the next event cannot be sent."""
    watching, stopped = asyncio.Event(), asyncio.Event()

    async def source(feed: Feed) -> None:
        watching.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with open_page(MemoryDesk(tmp_path, found=[source])) as browser:
        await browser.enter()
        host, port = browser.room.gate.host.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        path = f"{browser.room.gate.base}/events"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {browser.cookie}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            await watching.wait()
            writer.close()
            await stopped.wait()


def test_only_a_fresh_capture_is_shown(tmp_path: Path) -> None:
    """What a step printed is shown with date and versions; after the command has changed it is not."""
    lesson = library.load(library.folders()[0])
    step = lesson.steps[0]
    shutil.copytree(lesson.folder, tmp_path / lesson.folder.name)
    mine = library.load(tmp_path / lesson.folder.name)
    outputs = {"date": "2026-05-01", "versions": {"docker": "1.2"}}
    for run, shown in ((step.run, "1 Μαΐου 2026 (docker 1.2)"), ("another command", "")):
        steps = {step.id: {"command_sha256": digest(run), "exit": 0, "output": "out"}}
        (mine.folder / "outputs.yml").write_text(yaml.safe_dump(outputs | {"steps": steps}))
        found = Captures(mine, "el").command(step.id, "filled")
        assert (found.run, found.captured, found.output) == ("filled", shown, "out" if shown else "")
