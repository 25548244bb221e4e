"""Receiving blobs (distribution-spec v1.1, sections "Pushing blobs" and "Mounting a blob from another repository")."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

from aiohttp import web

from limani.distribution._path import repository_of
from limani.distribution.problems import error_response
from limani.distribution.ranges import ContentRange, content_range
from limani.distribution.store import Store
from limani.errors import BadInput, BlobUnknown, DigestInvalid, RangeInvalid
from limani.image import digest as digests

_CHUNK = 1 << 20


async def start_upload(request: web.Request, store: Store) -> web.StreamResponse:
    """Sections "Single POST", "Pushing a blob in chunks" and "Mounting a blob from another repository".

    With ``?digest=`` and no body the client announces what it will send: the session may then begin with what an
    earlier one left, and the answer's Range says how much that is (our extension of the specification).
    """
    repository = repository_of(request)
    mount = request.query.get("mount")
    if mount is not None:
        try:
            await store.stat_blob(digests.parse(mount))
            return _created(repository, mount)
        except BlobUnknown:
            pass  # the specification: fall back to an ordinary upload
    digest = digests.parse(request.query["digest"]) if "digest" in request.query else None
    has_body = bool(request.content_length) or (request.content_length is None and request.body_exists)
    if digest and has_body:
        upload = await store.start_upload(None)
        await store.append(upload.id, None, _body(request))
        await store.finish_upload(upload.id, digest)
        return _created(repository, digest)
    upload = await store.start_upload(digest)
    return _progress(repository, upload.id, upload.offset, 202)


async def append(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Pushing a blob in chunks"; without Content-Range the chunk belongs where the session stands."""
    repository, upload = repository_of(request), request.match_info["upload"]
    offset = await store.upload_status(upload)
    try:
        where = _where(request)
        offset = await store.append(upload, where.start if where else None, _body(request))
    except RangeInvalid as error:
        return await _refused(error, store, repository, upload)
    return _progress(repository, upload, offset, 202)


async def finish_upload(request: web.Request, store: Store) -> web.StreamResponse:
    """Close a session; the body, if there is one, is the last chunk."""
    repository, upload = repository_of(request), request.match_info["upload"]
    await store.upload_status(upload)
    if "digest" not in request.query:
        raise DigestInvalid("The upload cannot be closed without ?digest=.")
    digest = digests.parse(request.query["digest"])
    try:
        if request.body_exists and request.content_length != 0:
            where = _where(request)
            await store.append(upload, where.start if where else None, _body(request))
        await store.finish_upload(upload, digest)
    except RangeInvalid as error:
        return await _refused(error, store, repository, upload)
    return _created(repository, digest)


async def upload_status(request: web.Request, store: Store) -> web.StreamResponse:
    repository, upload = repository_of(request), request.match_info["upload"]
    return _progress(repository, upload, await store.upload_status(upload), 204)


async def cancel_upload(request: web.Request, store: Store) -> web.StreamResponse:
    repository_of(request)
    await store.cancel_upload(request.match_info["upload"])
    return web.Response(status=204)


def _where(request: web.Request) -> ContentRange | None:
    where = content_range(request.headers.get("Content-Range"))
    if where and request.content_length is not None and where.length != request.content_length:
        raise BadInput(f"Content-Range names {where.length} bytes, Content-Length {request.content_length}.")
    return where


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_chunked(_CHUNK):
        yield piece


def _created(repository: str, digest: str) -> web.Response:
    location = f"/v2/{repository}/blobs/{digest}"
    return web.Response(status=201, headers={"Location": location, "Docker-Content-Digest": digest})


def _progress(repository: str, upload: str, offset: int, status: int) -> web.Response:
    """Where a session stands. ``Range`` names the last byte; of nothing there is none, so the header is left out."""
    headers = {"Location": f"/v2/{repository}/blobs/uploads/{quote(upload)}", "Docker-Upload-UUID": upload}
    if offset:
        headers["Range"] = f"0-{offset - 1}"
    return web.Response(status=status, headers=headers)


async def _refused(error: RangeInvalid, store: Store, repository: str, upload: str) -> web.Response:
    """416 with where the session stands, so that the client can go on from there."""
    answer = error_response(error)
    answer.headers.update(_progress(repository, upload, await store.upload_status(upload), 416).headers)
    answer.content_type = "application/json"
    return answer
