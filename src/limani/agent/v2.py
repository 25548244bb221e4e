"""``/v2/`` for blobs only (OCI distribution specification v1.1)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from limani.agent.auth import CREATE, GET
from limani.agent.blobs import Blobs
from limani.agent.routes import Route
from limani.errors import RangeInvalid
from limani.image import digest as digests
from limani.wire import GRANT_HEADER


def v2_routes(blobs: Blobs) -> Sequence[Route]:
    """Routes of ``/v2/``."""
    name = "/v2/{name:.+}/blobs"

    async def base(request: web.Request) -> web.Response:
        return web.json_response({})

    async def get(request: web.Request) -> web.StreamResponse:
        digest = digests.parse(request.match_info["digest"])
        size = await blobs.size(digest, patient=GRANT_HEADER in request.headers)
        start, end, status = 0, size, 200
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if match:
            start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
            status = 206
            if start >= size:
                raise RangeInvalid(f"The blob has {size} bytes.", digest=digest)
        headers = {"Docker-Content-Digest": digest, "Content-Type": "application/octet-stream"}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = end - start
        await response.prepare(request)
        if request.method != "HEAD":
            async for piece in blobs.read(digest, start, end):
                await response.write(piece)
                start += len(piece)
            if start < end and request.transport is not None:
                request.transport.abort()
                return response
        await response.write_eof()
        return response

    def answer(status: int, name: str, session: str, have: int) -> web.Response:
        headers = {"Location": f"/v2/{name}/blobs/uploads/{session}"}
        if have:
            headers["Range"] = f"0-{have - 1}"
        return web.Response(status=status, headers=headers)

    async def start(request: web.Request) -> web.Response:
        session, have = await blobs.start(request.query.get("digest"))
        return answer(202, request.match_info["name"], session, have)

    async def patch(request: web.Request) -> web.Response:
        match = re.match(r"(\d+)-", request.headers.get("Content-Range", ""))
        session = request.match_info["session"]
        have = await blobs.append(session, int(match[1]) if match else None, _chunks(request))
        return answer(202, request.match_info["name"], session, have)

    async def put(request: web.Request) -> web.Response:
        session, digest = request.match_info["session"], digests.parse(request.query.get("digest", ""))
        if request.body_exists:
            await blobs.append(session, None, _chunks(request))
        await blobs.finish(session, digest)
        name = request.match_info["name"]
        return web.Response(status=201, headers={"Location": f"/v2/{name}/blobs/{digest}"})

    return (
        Route("GET", "/v2/", base, GET),
        Route("GET", name + "/{digest:sha256:[0-9a-f]{64}}", get, GET, grantable=True),
        Route("HEAD", name + "/{digest:sha256:[0-9a-f]{64}}", get, GET, grantable=True),
        Route("POST", name + "/uploads/", start, CREATE),
        Route("PATCH", name + "/uploads/{session}", patch, CREATE),
        Route("PUT", name + "/uploads/{session}", put, CREATE),
    )


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    while data := await request.content.readany():
        yield data
