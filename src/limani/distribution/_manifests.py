"""Manifests and tags (distribution-spec v1.1, "Pulling manifests", "Pushing Manifests", "Listing Tags")."""

from __future__ import annotations

import json
from urllib.parse import quote

from aiohttp import web

from limani.distribution._path import reference_of, repository_of
from limani.distribution.problems import error_response
from limani.distribution.store import Store
from limani.errors import BadInput, BlobUnknown, DigestMismatch, ImageNotFound, LimitExceeded, ManifestInvalid
from limani.image import digest as digests
from limani.image.manifest import MAX_DOCUMENT, parse_document

_CHUNK = 1 << 20
_MAX_TAGS = 1000


async def get_manifest(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Pulling manifests"; HEAD gives the same without the body."""
    media_type, raw, digest = await store.get_manifest(repository_of(request), reference_of(request))
    headers = {"Content-Type": media_type, "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
    return web.Response(body=raw, headers=headers)


async def put_manifest(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Pushing Manifests"."""
    repository, reference = repository_of(request), reference_of(request)
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


async def delete_manifest(request: web.Request, store: Store) -> web.StreamResponse:
    await store.delete_manifest(repository_of(request), reference_of(request))
    return web.Response(status=202)


async def list_tags(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Listing Tags", pages by ``n`` and ``last``."""
    repository = repository_of(request)
    number = request.query.get("n", str(_MAX_TAGS))
    if not number.isascii() or not number.isdecimal() or len(number) > 9:
        return error_response(BadInput(f"n is {number[:20]!r}, not a number."), "PAGINATION_NUMBER_INVALID")
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
