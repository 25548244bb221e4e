"""Who gets in: of all rows that differ from our own page in one thing, only our own page's row does."""

from __future__ import annotations

from pathlib import Path

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from limani.lab.serve.gate import HEADER, Gate, Request
from tests.unit.lab.serve.places import Browser, MemoryDesk, open_page

HOST = "127.0.0.1:8765"
# What is wrong in a row, and the HTTP status it is answered with. ``{...}`` is filled with the real server's facts.
FOREIGN = [
    ("host of another port", {"Host": "127.0.0.1:1"}, 421),
    ("host without a port", {"Host": "127.0.0.1"}, 421),
    ("host by another name", {"Host": "localhost:{port}"}, 421),
    ("name that was rebound to loopback", {"Host": "attacker.example:{port}"}, 421),
    ("two hosts", {"Host": "{host}, attacker.example"}, 400),
    ("origin of another port", {"Origin": "http://127.0.0.1:1"}, 403),
    ("origin by another name", {"Origin": "http://localhost:{port}"}, 403),
    ("origin of another scheme", {"Origin": "https://{host}"}, 403),
    ("origin of a rebound name", {"Origin": "http://attacker.example:{port}"}, 403),
    ("origin of a sandbox", {"Origin": "null"}, 403),
    ("two origins", {"Origin": "http://{host}, http://attacker.example"}, 403),
    ("origin with a path", {"Origin": "http://{host}/"}, 403),
    ("in a frame", {"Sec-Fetch-Dest": "iframe"}, 403),
    ("in an object", {"Sec-Fetch-Dest": "object"}, 403),
    ("from another site", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("from another port, which browsers call the same site", {"Sec-Fetch-Site": "same-site"}, 403),
    ("no cookie", {"Cookie": ""}, 403),
    ("wrong cookie", {"Cookie": "limani-lab=guess"}, 403),
    ("cookie of another name", {"Cookie": "other={session}"}, 403),
]
BUTTON_ONLY = [
    ("no origin", {"Origin": None}, 403),
    ("no header of ours", {HEADER: None}, 403),
    ("another value in it", {HEADER: "yes"}, 403),
]


def row(browser: Browser, wrong: dict[str, str | None]) -> dict[str, str]:
    """The good row with what is wrong put in; None leaves a header out."""
    host = browser.room.gate.host
    facts = {"host": host, "port": host.rpartition(":")[2], "session": browser.cookie.partition("=")[2]}
    headers = {**browser.good(), **{name: value and value.format(**facts) for name, value in wrong.items()}}
    return {name: value for name, value in headers.items() if value is not None}


@pytest.fixture
async def browser(tmp_path: Path):
    """A browser that has come in by the link."""
    async with open_page(MemoryDesk(tmp_path)) as opened:
        await opened.enter()
        yield opened


async def test_only_the_good_row_presses_a_button(browser: Browser) -> None:
    """A POST changes something only with the exact host, origin, header and cookie; each single fault is refused."""
    for what, wrong, status in [*FOREIGN, *BUTTON_ONLY]:
        answer = await browser.ask("POST", "check", row(browser, wrong))
        assert (answer.code, browser.room.desk.checks) == (status, 0), what
    assert (await browser.ask("POST", "check", browser.good())).code == 200
    assert browser.room.desk.checks == 1


async def test_only_the_good_row_reads(browser: Browser) -> None:
    """The page, its files and its events have the same walls; a GET of our own page sends no Origin, which is fine."""
    for address in ("", "static/page.js", "static/vendor/xterm.js", "events"):
        for what, wrong, status in FOREIGN:
            answer = await browser.ask("GET", address, row(browser, wrong))
            assert answer.code == status, (address, what)
    for address in ("", "static/page.js", "static/vendor/xterm.js"):
        assert (await browser.ask("GET", address, {"Cookie": browser.cookie})).code == 200, address


async def test_only_the_good_row_gets_the_terminal(browser: Browser) -> None:
    """The upgrade is refused for each single fault, and no shell was started for any of them."""
    address = f"{browser.base}/tty".replace("http:", "ws:")
    for what, wrong, status in [*FOREIGN, ("no origin", {"Origin": None}, 403)]:
        with pytest.raises(HTTPClientError) as refused:
            await websocket_connect(HTTPRequest(address, headers=row(browser, wrong)))
        assert (refused.value.code, browser.room.terminal.pid) == (status, None), what
    socket = await websocket_connect(HTTPRequest(address, headers=browser.good()))
    assert await socket.read_message() == '["setup", {}]'
    assert browser.room.terminal.pid
    socket.close()


async def test_other_methods(browser: Browser) -> None:
    """Nothing but GET and POST is answered, a button does not answer GET and the page no POST."""
    for method in ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"):
        answer = await browser.ask(method, "check", browser.good())
        assert answer.code == 405, method
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert (await browser.ask("GET", "check", browser.good())).code == 405
    assert (await browser.ask("POST", "", browser.good())).code == 405
    assert browser.room.desk.checks == 0


async def test_no_parameters(browser: Browser) -> None:
    """No address takes a parameter, so none can choose a command or a folder."""
    for address in ("?cmd=id", "?cwd=/", "tty?cmd=id", "events?lesson=x", "static/page.js?v=1"):
        assert (await browser.ask("GET", address, {"Cookie": browser.cookie})).code == 400, address
    assert (await browser.ask("POST", "check?lesson=x", browser.good())).code == 400


async def test_the_link_works_once(tmp_path: Path) -> None:
    """The token becomes a cookie for this path only and a clean address; nobody else can use it again."""
    async with open_page(MemoryDesk(tmp_path)) as browser:
        assert (await browser.ask("GET", "enter?token=guess")).code == 403
        assert (await browser.ask("GET", "enter")).code == 403
        link = browser.room.gate.link
        answer = await browser.enter()
        assert (answer.code, answer.headers["Location"]) == (302, f"{browser.room.gate.base}/")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert f"Path={browser.room.gate.base}/" in cookie
        assert link.partition("token=")[2] not in cookie
        assert (await browser.ask("GET", link)).code == 403
        again = await browser.ask("GET", link, {"Cookie": browser.cookie})
        assert (again.code, "Set-Cookie" in again.headers) == (302, False)


async def test_the_link_is_walled_too(tmp_path: Path) -> None:
    """The first URL has no cookie yet, and still only the exact host opens it, and never inside a frame."""
    async with open_page(MemoryDesk(tmp_path)) as browser:
        for headers in ({"Host": "localhost"}, {"Sec-Fetch-Dest": "iframe"}, {"Origin": "http://attacker.example"}):
            assert (await browser.ask("GET", browser.room.gate.link, headers)).code in (421, 403), headers
        assert (await browser.enter()).code == 302


async def test_unknown_addresses_say_nothing(browser: Browser) -> None:
    """Outside the secret path there is nothing, for strangers not even a difference between right and wrong paths."""
    origin = browser.room.gate.origin
    for address in ("/", "/favicon.ico", "/enter?token=x", "/../etc/passwd"):
        assert (await browser.ask("GET", f"{origin}{address}")).code in (400, 403), address
    assert (await browser.ask("GET", "nothing", {"Cookie": browser.cookie})).code == 404
    assert (await browser.ask("GET", "static/../app.py", {"Cookie": browser.cookie})).code in (403, 404)


async def test_headers_of_every_answer(browser: Browser) -> None:
    """Pages, files, errors and refusals carry the policy: no frame, no sniffing, no store, no referrer."""
    answers = [
        await browser.ask("GET", "", {"Cookie": browser.cookie}),
        await browser.ask("GET", "static/page.js", {"Cookie": browser.cookie}),
        await browser.ask("POST", "check", browser.good()),
        await browser.ask("GET", ""),
        await browser.ask("GET", "nothing", {"Cookie": browser.cookie}),
    ]
    assert [answer.code for answer in answers] == [200, 200, 200, 403, 404]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_ipv6_is_exact_too() -> None:
    """On [::1] the host is compared with its brackets and port."""
    gate = Gate("[::1]:8765")
    session = gate.redeem(gate.link.partition("token=")[2])
    good = Request("GET", {"Host": "[::1]:8765"}, session)
    assert gate.judge(good) is None
    assert gate.judge(Request("GET", {"Host": HOST}, session)) is not None
