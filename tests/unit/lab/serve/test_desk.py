"""Small decisions of the page: the next lesson, the words, the libraries, who may serve."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from limani.cli.lab_serve import serve
from limani.errors import LabPageIncomplete, LabPageRefused, LessonNotStarted
from limani.lab import texts
from limani.lab.lab import Lab, LessonSummary
from limani.lab.serve import server, vendor
from limani.lab.serve.desk import Desk, following
from tests.unit.lab.serve.places import MemoryDesk, open_page


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
