"""The ``/v2/`` routes of OCI Distribution over a ``Store``, for an aiohttp application to mount.

Specification: distribution-spec v1.1, sections "Pull", "Push", "Content Discovery" and "Content Management". Bodies
are streamed both ways. Whoever mounts the routes authorises each request by the route's ``action``.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from limani.distribution import _blobs, _manifests, _uploads
from limani.distribution.problems import error_response
from limani.distribution.store import Store
from limani.errors import LimaniError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
StoreHandler = Callable[[web.Request, Store], Awaitable[web.StreamResponse]]
Action = Literal["pull", "push", "delete"]
StoreFor = Callable[[web.Request], Store]


@dataclass(frozen=True, slots=True)
class Route:
    """A route as data: ``action`` is what the caller must be allowed to do."""

    method: str
    path: str
    handler: Handler
    action: Action


def routes(store_for: StoreFor) -> tuple[Route, ...]:
    """All routes; ``store_for`` gives the store a request works on (it may be the same for all)."""
    table: tuple[tuple[str, str, StoreHandler, Action], ...] = (
        ("GET", "/v2/", _base, "pull"),
        ("GET", "/v2/{name:.+}/blobs/uploads/{upload}", _uploads.upload_status, "push"),
        ("POST", "/v2/{name:.+}/blobs/uploads/", _uploads.start_upload, "push"),
        ("PATCH", "/v2/{name:.+}/blobs/uploads/{upload}", _uploads.append, "push"),
        ("PUT", "/v2/{name:.+}/blobs/uploads/{upload}", _uploads.finish_upload, "push"),
        ("DELETE", "/v2/{name:.+}/blobs/uploads/{upload}", _uploads.cancel_upload, "push"),
        ("HEAD", "/v2/{name:.+}/blobs/{digest}", _blobs.head_blob, "pull"),
        ("GET", "/v2/{name:.+}/blobs/{digest}", _blobs.get_blob, "pull"),
        ("HEAD", "/v2/{name:.+}/manifests/{reference}", _manifests.get_manifest, "pull"),
        ("GET", "/v2/{name:.+}/manifests/{reference}", _manifests.get_manifest, "pull"),
        ("PUT", "/v2/{name:.+}/manifests/{reference}", _manifests.put_manifest, "push"),
        ("DELETE", "/v2/{name:.+}/manifests/{reference}", _manifests.delete_manifest, "delete"),
        ("GET", "/v2/{name:.+}/tags/list", _manifests.list_tags, "pull"),
    )
    return tuple(Route(method, path, _answered(handler, store_for), action) for method, path, handler, action in table)


def _answered(handler: StoreHandler, store_for: StoreFor) -> Handler:
    """Every LimaniError becomes the specification's JSON."""

    @functools.wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request, store_for(request))
        except LimaniError as error:
            return error_response(error)

    return answered


async def _base(request: web.Request, store: Store) -> web.StreamResponse:
    """Section "Determining Support"."""
    return web.json_response({}, headers={"Docker-Distribution-API-Version": "registry/2.0"})
