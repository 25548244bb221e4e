"""The web server of the page: every handler stands behind the gate."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler

from limani.errors import LimaniError
from limani.lab.serve.desk import Desk
from limani.lab.serve.feed import Feed
from limani.lab.serve.gate import COOKIE, RESPONSE_HEADERS, Gate, Refusal, Request
from limani.lab.serve.terminal import Terminal, TerminalSocket

HERE = Path(__file__).parent
LARGEST_BODY = 4096
log = logging.getLogger("limani.lab.serve")


@dataclass
class Room:
    """What the handlers share."""

    gate: Gate
    desk: Desk
    terminal: Terminal
    feed: Feed
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


class Guarded(RequestHandler):
    """Looks at every request before anything else happens. ``entry``: the one place the token is taken."""

    entry = False

    @property
    def room(self) -> Room:
        room: Room = self.application.settings["room"]
        return room

    def set_default_headers(self) -> None:
        for name, value in RESPONSE_HEADERS.items():
            self.set_header(name, value)
        self.clear_header("Server")

    def prepare(self) -> None:
        request = self.request
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        refusal = self.room.gate.judge(
            Request(
                method=request.method or "",
                headers=request.headers,
                session=self.get_cookie(COOKIE),
                query=request.query,
                upgrade=upgrade,
                entry=self.entry,
            )
        )
        if refusal is None and upgrade and not isinstance(self, TerminalSocket):
            refusal = Refusal(400, "upgrade")
        if refusal is not None:
            raise HTTPError(refusal.status, reason=None, log_message=refusal.reason)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Plain text with what to do; nothing of what was sent comes back."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, LimaniError):
            self.set_status(error.status)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish("\n".join(self.room.desk.problem(error).values()))
            return
        reason = (error.log_message if isinstance(error, HTTPError) else None) or "failed"
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("X-Limani-Refusal", reason)
        told = reason if reason in ("session", "token", "host") else "other"
        self.finish(self.room.desk.say(f"serve.refused.{told}"))

    def log_exception(self, typ: Any, value: Any, trace: Any) -> None:
        """Refusals are no news and a learner's mistakes are told to the learner; a bug goes to the log."""
        if not isinstance(value, (HTTPError, LimaniError)):
            super().log_exception(typ, value, trace)


class Unknown(Guarded):
    """Any other address."""

    def get(self) -> NoReturn:
        raise HTTPError(404, log_message="unknown")

    post = get


class Enter(Guarded):
    """The first URL: the token becomes a cookie, and the address in the window no longer holds it."""

    entry = True

    def get(self) -> None:
        gate = self.room.gate
        session = gate.redeem(self.get_query_argument("token", ""))
        if session is not None:
            self.set_cookie(COOKIE, session, path=f"{gate.base}/", httponly=True, samesite="Strict")
        elif not gate.knows(self.get_cookie(COOKIE)):
            raise HTTPError(403, log_message="token")
        self.redirect(f"{gate.base}/")


class Index(Guarded):
    """The page."""

    def get(self) -> None:
        view = self.room.desk.view()
        self.render("page.html", desk=view, words=view.words)


class Asset(Guarded, StaticFileHandler):
    """Style, script and the vendored libraries."""

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-store")


class Action(Guarded):
    """A button. Says what the lab says; nothing is chosen by the request's body."""

    async def post(self) -> None:
        self.room.terminal.touch()
        async with self.room.busy:
            try:
                answer = await self.act()
            except LimaniError as error:
                self.set_status(error.status if error.status < 500 else 503)
                answer = {"error": self.room.desk.problem(error)}
        self.write(answer)

    async def act(self) -> dict[str, Any]:
        raise NotImplementedError


class Check(Action):
    """Ask the probes."""

    async def act(self) -> dict[str, Any]:
        return await self.room.desk.check()


class Hint(Action):
    """The next hint for the first check that does not pass."""

    async def act(self) -> dict[str, Any]:
        return await self.room.desk.hint()


class Next(Action):
    """Go on to the next lesson, with a shell of its own."""

    async def act(self) -> dict[str, Any]:
        answer = await self.room.desk.next()
        if not answer.get("reload"):
            return answer
        await self.room.terminal.end()
        await self.room.feed.close()
        return answer


class Language(Action):
    """The other language, for the page and the checks."""

    async def act(self) -> dict[str, Any]:
        return self.room.desk.switch()


class Events(Guarded):
    """The live picture as server-sent events."""

    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self._sending = asyncio.ensure_future(self._send())
        with suppress(StreamClosedError, asyncio.CancelledError):
            await self._sending

    async def _send(self) -> None:
        async with aclosing(self.room.feed.stream()) as stream:
            async for text in stream:
                self.write(text)
                await self.flush()

    def on_connection_close(self) -> None:
        """A page that has gone must not keep the sources of an earlier lesson alive."""
        self._sending.cancel()


class Tty(Guarded, TerminalSocket):
    """The terminal's web socket. The gate has compared Origin already."""

    def check_origin(self, origin: str) -> bool:
        return origin == self.room.gate.origin


def application(room: Room) -> Application:
    """All addresses. Everything lies below the gate's secret path; whatever does not is unknown."""
    base = room.gate.base
    assets = {"path": str(HERE / "static")}
    return Application(
        [
            (f"{base}/enter", Enter),
            (f"{base}/", Index),
            (f"{base}/check", Check),
            (f"{base}/hint", Hint),
            (f"{base}/next", Next),
            (f"{base}/language", Language),
            (f"{base}/events", Events),
            (f"{base}/tty", Tty, {"term_manager": room.terminal}),
            (f"{base}/static/(.*)", Asset, assets),
        ],
        room=room,
        template_path=str(HERE / "static"),
        default_handler_class=Unknown,
        websocket_ping_interval=30,
        websocket_max_message_size=65536,
        compiled_template_cache=True,
        log_function=lambda handler: log.info("%s %s", handler.get_status(), handler.request.method),
    )
