"""A registry that misbehaves on request, on loopback."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

from limani.distribution.client import RegistrySource
from limani.distribution.server import routes
from limani.image.manifest import Index, Manifest, parse_document
from limani.image.reference import Reference
from tests.unit.distribution.memory_store import MemoryStore


@dataclass
class FakeRegistry:
    """The server's routes over a store in memory, and what shall go wrong with them."""

    store: MemoryStore = field(default_factory=MemoryStore)
    token: str = ""  # what a request must bear
    basic: str = ""  # user:password that gets the token
    refresh: str = ""  # refresh token that gets it too
    scheme: str = "Bearer"
    cut_after: list[int] = field(default_factory=list)  # bytes after which the next answers to blobs break
    ignore_ranges: bool = False
    statuses: list[int] = field(default_factory=list)  # of the next answers
    retry_after: str = "0"
    blobs_at: str = ""  # where blobs are redirected to
    extra: bytes = b""  # what is sent instead of blobs
    requests: list[web.Request] = field(default_factory=list)
    base: str = ""

    @web.middleware
    async def meddle(self, request: web.Request, handler: web.RequestHandler) -> web.StreamResponse:  # type: ignore[type-arg]
        self.requests.append(request)
        if request.path == "/token":
            return await self._give_token(request)
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), headers={"Retry-After": self.retry_after})
        right = f"Bearer {self.token}"
        if self.scheme == "Basic":
            right = "Basic " + base64.b64encode(self.basic.encode()).decode()
        if self.token and request.headers.get("Authorization") != right:
            value = f'Bearer realm="{self.base}/token",service="fake"' if self.scheme == "Bearer" else 'Basic realm="x"'
            return web.Response(status=401, headers={"WWW-Authenticate": value})
        if "/blobs/" in request.path:
            return await self._blob(request, handler)
        return await handler(request)  # type: ignore[no-any-return, operator]

    async def _blob(self, request: web.Request, handler: web.RequestHandler) -> web.StreamResponse:  # type: ignore[type-arg]
        if self.blobs_at:
            return web.Response(status=307, headers={"Location": self.blobs_at + request.path})
        if self.extra:
            return web.Response(body=self.extra)
        if self.ignore_ranges:
            request = request.clone(headers={k: v for k, v in request.headers.items() if k != "Range"})
        self.store.stop_after = self.cut_after.pop(0) if self.cut_after else None
        return await handler(request)  # type: ignore[no-any-return, operator]

    async def _give_token(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            form = await request.post()
            allowed = form.get("refresh_token") == self.refresh != ""
        else:
            allowed = request.headers.get("Authorization", "") == (
                "Basic " + base64.b64encode(self.basic.encode()).decode() if self.basic else ""
            )
        return web.json_response({"access_token": self.token} if allowed else {}, status=200 if allowed else 401)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Reference]:
        """Serve; gives the name of the repository ``app``, tag 1."""
        app = web.Application(middlewares=[self.meddle])
        for route in routes(lambda request: self.store):
            app.router.add_route(route.method, route.path, route.handler)
        app.router.add_route("*", "/token", self._give_token)
        async with TestServer(app) as server:
            self.base = f"http://127.0.0.1:{server.port}"
            yield Reference.parse(f"127.0.0.1:{server.port}/app:1")

    def load(self, files: dict[str, bytes], digest: str) -> None:
        """Take an image from the files of an OCI archive."""
        self.store.blobs.update({f"sha256:{n[-64:]}": d for n, d in files.items() if n.startswith("blobs/")})
        raw = self.store.blobs[digest]
        document = parse_document(raw)
        self.store.manifests["app", "1"] = self.store.manifests["app", digest] = (document.media_type, raw)
        entries = document.manifests if isinstance(document, Index) else ()
        for entry in entries:
            manifest = Manifest.parse(self.store.blobs[entry.digest])
            self.store.manifests["app", entry.digest] = (manifest.media_type, manifest.raw)


def source(name: Reference, **more: object) -> RegistrySource:
    """A source over plain HTTP."""
    return RegistrySource(name, plain_http=True, **more)  # type: ignore[arg-type]
