"""What the path of a request names."""

from __future__ import annotations

import contextlib
import re

from aiohttp import web

from limani.errors import ReferenceInvalid
from limani.image import digest as digests
from limani.image.reference import Reference

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")


def repository_of(request: web.Request) -> str:
    """The repository; raises ReferenceInvalid. Names with a registry (r.example:5000/app) are taken as well."""
    name = request.match_info["name"]
    for text in (f"registry.invalid/{name}", name):
        with contextlib.suppress(ReferenceInvalid):
            found = Reference.parse(text)
            if found.tag == "latest" and not found.digest and name in (found.repository, found.name):
                return name
    raise ReferenceInvalid(f"{name[:200]!r} is not the name of a repository.")


def reference_of(request: web.Request) -> str:
    """A digest or a tag; raises DigestInvalid, ReferenceInvalid."""
    text = request.match_info["reference"]
    if ":" in text:
        return digests.parse(text)
    if not _TAG.match(text):
        raise ReferenceInvalid(f"{text[:200]!r} is neither a tag nor a digest.")
    return text
