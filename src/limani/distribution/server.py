"""The ``/v2/`` routes of OCI Distribution over a ``Store``, for an aiohttp application to mount.

Specification: distribution-spec v1.1, sections "Pull", "Push", "Content Discovery" and "Content Management". Bodies
are streamed both ways. Whoever mounts the routes authorises each request by the route's ``action``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import quote

from aiohttp import web

from limani.distribution.problems import error_response
from limani.distribution.ranges import ContentRange, byte_range, content_range
from limani.distribution.store import Store
from limani.errors import (
    BadInput,
    BlobUnknown,
    DigestInvalid,
    DigestMismatch,
    ImageNotFound,
    LimaniError,
    LimitExceeded,
    ManifestInvalid,
    RangeInvalid,
    ReferenceInvalid,
)
from limani.image import digest as digests
from limani.image.manifest import MAX_DOCUMENT, parse_document
from limani.image.reference import Reference

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Action = Literal["pull", "push", "delete"]
StoreFor = Callable[[web.Request], Store]
_T = TypeVar("_T")
_CHUNK = 1 << 20
_MAX_TAGS = 1000
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class Route:
    """A route as data: ``action`` is what the caller must be allowed to do."""

    method: str
    path: str
    handler: Handler
    action: Action


def routes(store_for: StoreFor) -> tuple[Route, ...]:
    """All routes; ``store_for`` gives the store a request works on (it may be the same for all)."""
    table: tuple[tuple[str, str, Callable[[web.Request, Store], Awaitable[web.StreamResponse]], Action], ...] = (
        ("GET", "/v2/", _base, "pull"),
        ("GET", "/v2/{name:.+}/blobs/uploads/{upload}", _upload_status, "push"),
        ("POST", "/v2/{name:.+}/blobs/uploads/", _start_upload, "push"),
        ("PATCH", "/v2/{name:.+}/blobs/uploads/{upload}", _append, "push"),
        ("PUT", "/v2/{name:.+}/blobs/uploads/{upload}", _finish_upload, "push"),
        ("DELETE", "/v2/{name:.+}/blobs/uploads/{upload}", _cancel_upload, "push"),
        ("HEAD", "/v2/{name:.+}/blobs/{digest}", _head_blob, "pull"),
        ("GET", "/v2/{name:.+}/blobs/{digest}", _get_blob, "pull"),
        ("HEAD", "/v2/{name:.+}/manifests/{reference}", _get_manifest, "pull"),
        ("GET", "/v2/{name:.+}/manifests/{reference}", _get_manifest, "pull"),
        ("PUT", "/v2/{name:.+}/manifests/{reference}", _put_manifest, "push"),
        ("DELETE", "/v2/{name:.+}/manifests/{reference}", _delete_manifest, "delete"),
        ("GET", "/v2/{name:.+}/tags/list", _tags, "pull"),
    )
    return tuple(Route(method, path, _answered(handler, store_for), action) for method, path, handler, action in table)


def _answered(handler: Callable[[web.Request, Store], Awaitable[web.StreamResponse]], store_for: StoreFor) -> Handler:
    """Every LimaniError becomes the specification's JSON."""

    @functools.wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request, store_for(request))
        except LimaniError as error:
            return error_response(error)

    return answered


# --- blobs ---------------------------------------------------------------------------------------------------------


async def _base(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Determining Support"."""
    return web.json_response({}, headers={"Docker-Distribution-API-Version": "registry/2.0"})


async def _head_blob(request: web.Request, store: Store) -> web.StreamResponse:
    _repository(request)
    digest = digests.parse(request.match_info["digest"])
    size = await store.stat_blob(digest)
    return web.Response(headers={**_blob_headers(digest), "Content-Length": str(size)})


async def _get_blob(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Pulling blobs"; ranges as in RFC 9110, section 14."""
    _repository(request)
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
    finally:
        await _close(pieces)
        if left and response.prepared and request.transport is not None:
            request.transport.close()  # the length was promised: only a broken connection says that it was not kept
    await response.write_eof()
    return response


def _blob_headers(digest: str) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
    }


# --- uploads -------------------------------------------------------------------------------------------------------


async def _start_upload(request: web.Request, store: Store) -> web.StreamResponse:
    """Sections "Single POST", "Pushing a blob in chunks" and "Mounting a blob from another repository".

    With ``?digest=`` and no body the client announces what it will send: the session may then begin with what an
    earlier one left, and the answer's Range says how much that is (our extension of the specification).
    """
    repository = _repository(request)
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


async def _append(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Pushing a blob in chunks"; without Content-Range the chunk belongs where the session stands."""
    repository, upload = _repository(request), request.match_info["upload"]
    offset = await store.upload_status(upload)
    try:
        where = _where(request)
        offset = await store.append(upload, where.start if where else None, _body(request))
    except RangeInvalid as error:
        return await _refused(error, store, repository, upload)
    return _progress(repository, upload, offset, 202)


async def _finish_upload(request: web.Request, store: Store) -> web.StreamResponse:
    """Close a session; the body, if there is one, is the last chunk."""
    repository, upload = _repository(request), request.match_info["upload"]
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


async def _upload_status(request: web.Request, store: Store) -> web.StreamResponse:
    repository, upload = _repository(request), request.match_info["upload"]
    return _progress(repository, upload, await store.upload_status(upload), 204)


async def _cancel_upload(request: web.Request, store: Store) -> web.StreamResponse:
    _repository(request)
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


# --- manifests -----------------------------------------------------------------------------------------------------


async def _get_manifest(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Pulling manifests"; HEAD gives the same without the body."""
    media_type, raw, digest = await store.get_manifest(_repository(request), _reference(request))
    headers = {"Content-Type": media_type, "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
    return web.Response(body=raw, headers=headers)


async def _put_manifest(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Pushing Manifests"."""
    repository, reference = _repository(request), _reference(request)
    raw = await _document(request)
    found = digests.of(raw)
    if ":" in reference and reference != found:
        raise DigestMismatch(f"The manifest has the digest {found}, not {reference}.", expected=reference, found=found)
    document = parse_document(raw)
    sent_as = request.headers.get("Content-Type", document.media_type).partition(";")[0].strip()
    if sent_as != document.media_type:
        raise ManifestInvalid(f"A manifest sent as {sent_as[:120]!r} is {document.media_type!r}.")
    try:
        digest = await store.put_manifest(repository, reference, document.media_type, raw)
    except BlobUnknown as error:
        return error_response(error, "MANIFEST_BLOB_UNKNOWN", 400)
    location = f"/v2/{repository}/manifests/{reference}"
    return web.Response(status=201, headers={"Location": location, "Docker-Content-Digest": digest})


async def _delete_manifest(request: web.Request, store: Store) -> web.StreamResponse:
    await store.delete_manifest(_repository(request), _reference(request))
    return web.Response(status=202)


async def _tags(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Listing Tags", pages by ``n`` and ``last``."""
    repository = _repository(request)
    number = request.query.get("n", str(_MAX_TAGS))
    if not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise BadInput(f"n is {number[:20]!r}, not a number.")
    try:
        names = sorted(await store.tags(repository))
    except ImageNotFound as error:
        return error_response(error, "NAME_UNKNOWN")
    last = request.query.get("last", "")
    rest = [name for name in names if name > last]
    page = rest[: min(int(number), _MAX_TAGS)]
    headers = {}
    if page and len(page) < len(rest):
        headers["Link"] = f'</v2/{repository}/tags/list?n={len(page)}&last={quote(page[-1])}>; rel="next"'
    return web.Response(
        text=json.dumps({"name": repository, "tags": page}), headers=headers, content_type="application/json"
    )


async def _document(request: web.Request) -> bytes:
    raw = bytearray()
    async for piece in request.content.iter_chunked(_CHUNK):
        raw += piece
        if len(raw) > MAX_DOCUMENT:
            raise LimitExceeded(f"The manifest is larger than {MAX_DOCUMENT} bytes.", limit=MAX_DOCUMENT)
    return bytes(raw)


def _repository(request: web.Request) -> str:
    """The repository of the path; raises ReferenceInvalid. Full names (docker.io/library/x) are taken as well."""
    name = request.match_info["name"]
    found = Reference.parse(f"registry.invalid/{name}")
    if found.repository != name or found.tag != "latest":
        raise ReferenceInvalid(f"{name[:200]!r} is not the name of a repository.")
    return name


def _reference(request: web.Request) -> str:
    """A digest or a tag; raises DigestInvalid, ReferenceInvalid."""
    text = request.match_info["reference"]
    if ":" in text:
        return digests.parse(text)
    if not _TAG.match(text):
        raise ReferenceInvalid(f"{text[:200]!r} is neither a tag nor a digest.")
    return text


async def _close(pieces: AsyncIterator[bytes]) -> None:
    close = getattr(pieces, "aclose", None)
    if close:
        await close()
