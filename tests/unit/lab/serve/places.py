"""A page without a lab behind it: a lesson in memory and a plain shell."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from limani.errors import LimaniError
from limani.lab import texts
from limani.lab.serve.app import Room
from limani.lab.serve.feed import Feed
from limani.lab.serve.gate import HEADER
from limani.lab.serve.render import Command, Words, render
from limani.lab.serve.server import listen, serving
from limani.lab.serve.terminal import Shell

MARKDOWN = """Read, then type.

## Say it {#say-it}

```step
say
```

```file
pod.yaml
```

## Your task {#task}

Write the file.
"""
WORDS = Words(
    "Type it", "Type it into the terminal", "What it printed on {captured}", "exit code {code}", "File {path}"
)


@dataclass
class View:
    """What the template asks for."""

    folder: Path
    lang: str = "en"
    title: str = "A lesson"
    check_titles: Sequence[str] = ("The file is there",)

    @property
    def script_words(self) -> str:
        found = texts.catalogue(self.lang)
        return json.dumps({name[9:]: text for name, text in found.items() if name.startswith("serve.js.")})

    @property
    def lesson(self) -> Any:
        return type("Lesson", (), {"id": "memory"})

    @property
    def texts(self) -> Any:
        return type("Texts", (), {"title": self.title})

    @property
    def words(self) -> dict[str, str]:
        return {name.removeprefix("serve."): text for name, text in texts.catalogue(self.lang).items()}

    @property
    def html(self) -> str:
        return render(MARKDOWN, lambda step: Command("echo hello > file"), lambda path: "kind: Pod\n", WORDS)


@dataclass
class MemoryDesk:
    """Stands in for Desk: counts what was asked of it."""

    folder: Path
    lang: str = "en"
    command: Sequence[str] = ("/bin/sh",)
    checks: int = 0
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    found: list[Callable[[Feed], Coroutine[Any, Any, None]]] = field(default_factory=list)

    def say(self, message: str, **values: Any) -> str:
        return texts.say(self.lang, message, **values)

    def sentence(self, change: Any) -> str:
        return f"{change.key} {change.message}"

    def problem(self, error: LimaniError) -> dict[str, str]:
        return {"message": error.message, "hint": error.hint}

    def view(self) -> View:
        return View(self.folder, self.lang)

    def shell(self) -> Shell:
        return Shell(self.command, self.environment, self.folder)

    def sources(self, feed: Feed) -> list[Coroutine[Any, Any, None]]:
        return [source(feed) for source in self.found]

    async def check(self) -> dict[str, Any]:
        self.checks += 1
        return {"lesson": "memory", "done": False, "sum": "0 of 1", "results": []}

    async def hint(self) -> dict[str, Any]:
        return {"lesson": "memory", "check": "c", "tier": 1, "title": "t", "lines": ["look"], "commands": []}

    async def next(self) -> dict[str, Any]:
        return {"text": "last"}

    def switch(self) -> dict[str, Any]:
        self.lang = "el" if self.lang == "en" else "en"
        return {"reload": True}


@dataclass
class Browser:
    """A client that says exactly what it is told to say."""

    room: Room
    cookie: str = ""

    @property
    def base(self) -> str:
        return f"{self.room.gate.origin}{self.room.gate.base}"

    async def ask(self, method: str, address: str, headers: dict[str, str] | None = None) -> HTTPResponse:
        """One request; ``address`` begins below the secret path, or is a whole one."""
        whole = address if address.startswith("http") else f"{self.base}/{address}"
        request = HTTPRequest(
            whole,
            method=method,
            headers=headers or {},
            body="" if method in ("POST", "PUT", "PATCH") else None,
            follow_redirects=False,
            allow_nonstandard_methods=True,
        )
        return await AsyncHTTPClient().fetch(request, raise_error=False)

    async def enter(self) -> HTTPResponse:
        """Use the first link and keep the cookie."""
        answer = await self.ask("GET", self.room.gate.link)
        self.cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return answer

    def good(self, **more: str) -> dict[str, str]:
        """The headers our own page sends with a button."""
        return {"Cookie": self.cookie, "Origin": self.room.gate.origin, HEADER: "1", **more}


@asynccontextmanager
async def open_page(desk: Any, idle_s: float = 600.0) -> AsyncIterator[Browser]:
    """A server on a free port with ``desk`` behind it."""
    listening = listen(0)
    async with serving(desk, listening, idle_s) as room:
        assert urlsplit(room.gate.link).hostname == "127.0.0.1"
        yield Browser(room)
