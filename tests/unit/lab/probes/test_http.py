"""The probe that makes a request, against a real server on this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from limani.lab.probes import http as probes
from limani.lab.record import Finding, Status
from limani.lab.texts import render
from tests.unit.lab.probes.docker_double import Client, Container, world

LISTENS_ON_8080 = (
    "  sl  local_address\n   0: 00000000:1F90 00000000:0000 0A 0\n   1: 0100007F:0050 0100007F:9999 01 0\n"
)
TABLES: dict[tuple[str, ...], str] = {("cat", "/proc/net/tcp"): LISTENS_ON_8080, ("cat", "/proc/net/tcp6"): "  sl\n"}


def outcome(finding: Finding) -> tuple[Status, str | None]:
    """Status and cause, after rendering the messages in both languages."""
    for lang in ("en", "el"):
        render(finding.found, lang)
        render(finding.wanted, lang)
    return finding.status, finding.cause


class Page(BaseHTTPRequestHandler):
    """Answers every request for / with a token, all others with 404."""

    def do_GET(self) -> None:
        """One request."""
        body = b"version 1\ntoken abc\n"
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    """Where the page is."""
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def refused() -> Iterator[tuple[str, str]]:
    """A URL where nobody listens, and its port; nobody else gets the port meanwhile."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        port = str(kept.getsockname()[1])
        yield f"http://127.0.0.1:{port}/", port


async def test_answers(url: str) -> None:
    """The status wanted passes, and with it the text wanted."""
    assert outcome(await probes.answers(world(Client()), url=url)) == (Status.PASS, None)
    assert outcome(await probes.answers(world(Client()), url=url, holds="token abc")) == (Status.PASS, None)


async def test_other_status(url: str) -> None:
    """Another status fails."""
    assert outcome(await probes.answers(world(Client()), url=url + "no")) == (Status.FAIL, "status")


@pytest.mark.parametrize(("env", "cause"), [(["TOKEN=xyz"], "text-missing"), ([], "env-missing")])
async def test_text_missing(url: str, env: list[str], cause: str) -> None:
    """Where the body lacks the text, the container's variables say whether it was ever handed over."""
    client = Client(Container(env=env))
    assert outcome(await probes.answers(world(client), url=url, holds="xyz", container="box")) == (Status.FAIL, cause)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"published": "80/tcp"}, "wrong-port"),
        ({"published": "8080/tcp"}, "unanswered"),
        ({"published": None}, "not-published"),
        ({"published": "80/tcp", "name": "other"}, "missing"),
    ],
)
async def test_nobody_answers(refused: tuple[str, str], given: dict[str, Any], cause: str) -> None:
    """Why nobody answers is seen at the container's published ports and at what listens inside."""
    url, port = refused
    published = given.pop("published")
    places = {published: [{"HostIp": "127.0.0.1", "HostPort": port}]} if published else {"8080/tcp": None}
    client = Client(Container(ports=places, answers=TABLES, **given))
    assert outcome(await probes.answers(world(client), url=url, container="box")) == (Status.FAIL, cause)


async def test_nobody_at_all(refused: tuple[str, str]) -> None:
    """Without a container to look at, it is told that nobody answers."""
    assert outcome(await probes.answers(world(Client()), url=refused[0])) == (Status.FAIL, None)
