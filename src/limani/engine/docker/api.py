"""dockerd's HTTP API (Docker Engine API reference) on a unix socket; errors are translated here and nowhere else.

Paths carry no version: the newest API the daemon has is used, and only fields every version since 1.41 has are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from limani.errors import ImageInUse, ImageNotFound, LimaniError, RuntimeFailed, RuntimeUnavailable

T = TypeVar("T")

ANSWER_S = 60.0
LOAD_S = 3600.0
RESTART_S = 60.0

# HTTP status -> our error; what is not named here is RuntimeFailed.
TRANSLATION: dict[int, type[LimaniError]] = {404: ImageNotFound, 409: ImageInUse, 503: RuntimeUnavailable}


class DockerApi:
    """Requests to one dockerd."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self.socket, limit=0), timeout=aiohttp.ClientTimeout(total=ANSWER_S)
            )
        return self._session

    async def request(self, method: str, path: str, **query: str) -> Any:
        """A request with a JSON answer (None where it has no body). Raises as ``TRANSLATION`` says."""
        url = f"http://docker{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            async with self._http().request(method, url) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._away(error) from error
        if answer.status >= 400:
            raise self._refused(method, path, answer.status, content)
        return msgspec.json.decode(content) if content.strip() else None

    async def image(self, name: str) -> dict[str, Any] | None:
        """``GET /images/{name}/json``, None if there is no such image."""
        try:
            return dict(await self.request("GET", f"/images/{quote(name, safe='')}/json"))
        except ImageNotFound:
            return None

    async def load(self, archive: AsyncIterator[bytes]) -> None:
        """``POST /images/load``. Raises RuntimeFailed with the daemon's words, which may come inside a 200 answer."""
        timeout = aiohttp.ClientTimeout(total=LOAD_S)
        headers = {"Content-Type": "application/x-tar"}
        try:
            request = self._http().post(
                "http://docker/images/load?quiet=1", data=archive, headers=headers, timeout=timeout
            )
            async with request as answer:
                if answer.status >= 400:
                    raise self._refused("POST", "/images/load", answer.status, await answer.read())
                async for line in answer.content:
                    _check_line(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._away(error) from error

    async def redo(self, step: Callable[[], Awaitable[T]], patience_s: float = RESTART_S) -> T:
        """Run an idempotent step, and again when dockerd went away under it and came back within ``patience_s``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        pause = 0.1
        while True:
            try:
                return await step()
            except RuntimeUnavailable:
                if loop.time() + pause > deadline:
                    raise
            await asyncio.sleep(pause)  # a daemon that starts announces nothing
            pause = min(pause * 2, 2.0)

    def _away(self, error: Exception) -> RuntimeUnavailable:
        return RuntimeUnavailable(f"dockerd ({self.socket}) does not answer: {str(error) or type(error).__name__}.")

    def _refused(self, method: str, path: str, status: int, content: bytes) -> LimaniError:
        try:
            message = str(msgspec.json.decode(content).get("message"))
        except (msgspec.DecodeError, AttributeError):
            message = content[:300].decode(errors="replace").strip()
        kind = TRANSLATION.get(status, RuntimeFailed)
        return kind(f"dockerd: {method} {path}: {message}", status=status)


def _check_line(line: bytes) -> None:
    """Raise RuntimeFailed for a line of a progress stream that says an error."""
    try:
        said = msgspec.json.decode(line) if line.strip() else {}
    except msgspec.DecodeError:
        return
    if isinstance(said, dict) and ("error" in said or "errorDetail" in said):
        detail = said.get("errorDetail")
        text = said.get("error") or (detail.get("message") if isinstance(detail, dict) else detail)
        raise RuntimeFailed(f"dockerd could not load the image: {text}")
