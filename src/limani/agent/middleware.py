"""What every request passes: errors become documents, requests become log lines and counts."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from limani.agent import log, memory
from limani.agent.metrics import Metrics
from limani.distribution.problems import error_response
from limani.errors import LimaniError

BULK = 1 << 20
"""Bodies larger than this count as much."""
SETTLED_S = 0.5
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a LimaniError with its status: below ``/v2/`` as OCI distribution says, else ``{"error": {...}}``."""
    try:
        return await handler(request)
    except LimaniError as error:
        log.note(code=error.code)
        return _answer(request, error)
    except ConnectionError:
        return web.Response(status=499)  # nobody is left to read it


def _answer(request: web.Request, error: LimaniError) -> web.Response:
    """The answer to a request that failed before its answer began."""
    if request.path.startswith("/v2/"):
        response = error_response(error)
        if error.status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="limani"'
    else:
        body = msgspec.json.encode({"error": error.to_dict()})
        response = web.Response(status=error.status, body=body, content_type="application/json")
    if request.body_exists and not request.content.is_eof():
        response.force_close()  # the rest of the body is not wanted
    return response


def give_back_memory() -> Middleware:
    """A middleware that returns free memory to the system once nothing has been going on for a moment."""
    under_way = 0

    def tidy() -> None:
        if not under_way:
            memory.give_back()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal under_way
        if request.path in QUIET:
            return await handler(request)
        under_way += 1
        try:
            return await handler(request)
        finally:
            under_way -= 1
            if not under_way:
                asyncio.get_running_loop().call_later(SETTLED_S, tidy)

    return middleware


async def close_after_bulk(request: web.Request, response: web.StreamResponse) -> None:
    """``on_response_prepare``: end the connection after much has passed, instead of keeping it for the next request.

    The buffers between asyncio and OpenSSL grow to the largest piece that was waiting and shrink only with the
    connection: an idle one would keep up to a megabyte.
    """
    if max(request.content_length or 0, response.content_length or 0) > BULK:
        response.force_close()
        response.headers["Connection"] = "close"


def log_requests(node: str, metrics: Metrics) -> Middleware:
    """A middleware that logs and counts what was answered to whom."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.monotonic()
        notes = log.begin()
        status = 499
        try:
            response = await handler(request)
            status = response.status
            return response
        except asyncio.CancelledError:
            raise
        except web.HTTPException as error:
            status = error.status
            raise
        except Exception:
            status = 500
            raise
        finally:
            resource = request.match_info.route.resource
            route = resource.canonical if resource is not None else "unknown"
            metrics.requests.labels(route, request.method, str(status)).inc()
            if route not in QUIET:
                log.event(
                    "request",
                    level=logging.INFO if status < 500 else logging.ERROR,
                    node=node,
                    method=request.method,
                    path=request.path,
                    status=status,
                    ms=round((time.monotonic() - started) * 1000, 1),
                    **notes,
                )

    return middleware
