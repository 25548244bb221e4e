"""Starting and stopping the server of the page."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tornado.httpserver import HTTPServer

from limani.errors import LabPageRefused
from limani.lab.lab import Lab
from limani.lab.serve import vendor
from limani.lab.serve.app import LARGEST_BODY, Room, application
from limani.lab.serve.desk import Desk
from limani.lab.serve.feed import Feed
from limani.lab.serve.gate import Gate
from limani.lab.serve.terminal import Terminal

IDLE_S = 3600.0
ADDRESSES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}


def listen(port: int, address: str = "127.0.0.1") -> socket.socket:
    """A socket on this machine's loopback and nowhere else; port 0 finds a free one."""
    found = socket.socket(ADDRESSES[address], socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((address, port))
    except OSError as error:
        found.close()
        text = f"Port {port} of {address} cannot be used: {error.strerror}."
        raise LabPageRefused(text, hint="Leave out --port; a free one is found then.", port=port) from error
    found.listen()
    found.setblocking(False)
    return found


@asynccontextmanager
async def serving(desk: Desk, listening: socket.socket, idle_s: float = IDLE_S) -> AsyncIterator[Room]:
    """The page on ``listening`` while the block runs; afterwards no process of its shell is left."""
    vendor.verify()
    address, port = listening.getsockname()[:2]
    gate = Gate(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
    feed = Feed(desk.sources, desk.sentence)
    terminal = Terminal(desk.shell, idle_s=idle_s, ended=feed.ended)
    room = Room(gate, desk, terminal, feed)
    server = HTTPServer(
        application(room), max_body_size=LARGEST_BODY, max_header_size=16384, idle_connection_timeout=300
    )
    server.add_socket(listening)
    try:
        yield room
    finally:
        server.stop()
        await terminal.end()
        await terminal.shutdown()
        await feed.close()
        await server.close_all_connections()


async def serve(lab: Lab, listening: socket.socket, idle_s: float, opened: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ``opened`` is given the first URL once it answers."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(kind, stop.set)
    async with serving(Desk(lab), listening, idle_s) as room:
        opened(room.gate.link)
        await stop.wait()
