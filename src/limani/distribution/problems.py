"""Errors as the OCI distribution specification writes them (v1.1, section "Error Codes")."""

from __future__ import annotations

import json

from aiohttp import web

from limani.errors import LimaniError

CODES: dict[str, str] = {
    "blob_unknown": "BLOB_UNKNOWN",
    "upload_unknown": "BLOB_UPLOAD_UNKNOWN",
    "range_invalid": "BLOB_UPLOAD_INVALID",
    "bad_input": "BLOB_UPLOAD_INVALID",
    "digest_invalid": "DIGEST_INVALID",
    "digest_mismatch": "DIGEST_INVALID",
    "manifest_invalid": "MANIFEST_INVALID",
    "image_not_found": "MANIFEST_UNKNOWN",
    "platform_missing": "MANIFEST_UNKNOWN",
    "reference_invalid": "NAME_INVALID",
    "limit_exceeded": "SIZE_INVALID",
    "disk_full": "SIZE_INVALID",
    "unauthenticated": "UNAUTHORIZED",
    "forbidden": "DENIED",
    "image_in_use": "DENIED",
    "unsupported": "UNSUPPORTED",
}
"""The specification's code for each of ours; ``UNKNOWN`` (as registries in use answer) for the rest."""

_BY_STATUS = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 405: "UNSUPPORTED", 429: "TOOMANYREQUESTS"}


def error_response(error: LimaniError, code: str | None = None, status: int | None = None) -> web.Response:
    """The answer for an error; ``detail`` holds our own form, so that our clients lose nothing."""
    known = code or CODES.get(error.code) or _BY_STATUS.get(error.status, "UNKNOWN")
    body = {"errors": [{"code": known, "message": error.message, "detail": error.to_dict()}]}
    return web.Response(status=status or error.status, text=json.dumps(body), content_type="application/json")
