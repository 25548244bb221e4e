"""Reading blobs (distribution-spec v1.1, section "Pulling blobs"; ranges as in RFC 9110, section 14)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from limani.distribution._path import repository_of
from limani.distribution.problems import error_response
from limani.distribution.ranges import byte_range
from limani.distribution.store import Store
from limani.errors import LimaniError, RangeInvalid
from limani.image import digest as digests


async def head_blob(request: web.Request, store: Store) -> web.StreamResponse:
    repository_of(request)
    digest = digests.parse(request.match_info["digest"])
    size = await store.stat_blob(digest)
    return web.Response(headers={**_blob_headers(digest), "Content-Length": str(size)})


async def get_blob(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Pulling blobs"; ranges as in RFC 9110, section 14."""
    repository_of(request)
    digest = digests.parse(request.match_info["digest"])
    size = await store.stat_blob(digest)
    try:
        wanted = byte_range(request.headers.get("Range"), size)
    except RangeInvalid as error:
        answer = error_response(error)
        answer.headers["Content-Range"] = f"bytes */{size}"
        return answer
    start, end = wanted or (0, size)
    response = web.StreamResponse(status=206 if wanted else 200, headers=_blob_headers(digest))
    response.content_length = end - start
    if wanted:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    pieces = store.read_blob(digest, start, end - start)
    left = end - start
    try:
        # The first piece before the headers: a blob that went away meanwhile is still a proper 404.
        piece = await anext(pieces, b"")
        await response.prepare(request)
        while piece:
            left -= len(piece)
            await response.write(piece)
            piece = await anext(pieces, b"")
    except LimaniError:
        if not response.prepared:
            raise
    finally:
        await _close(pieces)
        if left and response.prepared and request.transport is not None:
            request.transport.close()  # the length was promised: only a broken connection says that it was not kept
    if not left:
        await response.write_eof()
    return response


def _blob_headers(digest: str) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
    }


async def _close(pieces: AsyncIterator[bytes]) -> None:
    close = getattr(pieces, "aclose", None)
    if close:
        await close()
