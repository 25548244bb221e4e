"""Images from a registry (OCI distribution-spec v1.1, section "Pull")."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx2

from limani.distribution.auth import Credentials, find_credentials
from limani.distribution.session import TRIES, RegistrySession
from limani.errors import (
    BadInput,
    BlobUnknown,
    DigestMismatch,
    ImageNotFound,
    LimaniError,
    LimitExceeded,
    SourceUnavailable,
)
from limani.image import digest as digests
from limani.image import media
from limani.image.descriptor import Descriptor
from limani.image.manifest import MAX_DOCUMENT
from limani.image.platform import Platform
from limani.image.reference import Reference
from limani.image.source import CHUNK, SourceImage, image_of

_ACCEPT = ", ".join([media.OCI_INDEX, media.DOCKER_INDEX, media.OCI_MANIFEST, media.DOCKER_MANIFEST])
_MAX_TAGS = 10_000
_SHOWN = 10


class RegistrySource:
    """A ``Source`` over one repository of a registry.

    ``name``: which (tag and digest do not matter here). ``credentials``: who to be; else what ``auths``, a list of
    dockerconfigjson documents, holds for it; else nobody. ``ca_file``, ``plain_http``, ``insecure``: see
    ``RegistrySession``. Raises BadInput for credentials or certificates that cannot be used.
    """

    def __init__(
        self,
        name: Reference,
        *,
        credentials: Credentials | None = None,
        auths: Sequence[Mapping[str, Any]] = (),
        ca_file: str | Path | None = None,
        plain_http: bool = False,
        insecure: bool = False,
    ) -> None:
        known = credentials or find_credentials(auths, name.registry, name.repository)
        self._name = name
        self._session = RegistrySession(
            name.registry, name.repository, known, ca_file=ca_file, plain_http=plain_http, insecure=insecure
        )

    @property
    def origin(self) -> str:
        """What to call it in messages."""
        return f"registry {self._name.registry}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def image(self, reference: Reference | None, platform: Platform) -> SourceImage:
        """The image of that name (None: the one the source was made for)."""
        wanted = reference or self._name
        if wanted.name != self._name.name:
            raise BadInput(f"This source is for {self._name.name}, not for {wanted.name}.")
        document = await self._manifest(wanted.digest or wanted.tag or "latest")
        return await image_of(self, wanted, document, platform, lambda chosen: self._manifest(chosen.digest))

    async def references(self) -> list[Reference]:
        """The tags of the repository (distribution-spec, "Listing Tags"), sorted; empty where they cannot be listed."""
        tags: set[str] = set()
        last = ""
        while len(tags) < _MAX_TAGS:
            async with self._session.get(f"/tags/list?n=1000{last}") as answer:
                if answer.status_code >= 400:
                    break
                raw = await self._document(answer, "the list of tags")
                link = answer.links.get("next", {}).get("url", "")
            try:
                page = [str(tag) for tag in json.loads(raw)["tags"] or []]
            except (ValueError, TypeError, KeyError) as error:
                raise SourceUnavailable(f"The {self.origin} gave no list of tags.") from error
            after = parse_qs(urlsplit(link).query).get("last", [""])[0]
            if not link or not after or set(page) <= tags:
                tags.update(page)
                break
            tags.update(page)
            last = f"&last={after}"
        return sorted((self._name.with_tag(tag) for tag in tags), key=str)

    async def open(self, descriptor: Descriptor, offset: int = 0) -> AsyncIterator[bytes]:
        """The bytes of a blob; a connection that breaks is made again from where it broke, a few times in a row."""
        found = hashlib.sha256()
        at, failures = offset, 0
        while True:
            before = at
            try:
                async for piece in self._blob(descriptor, at):
                    at += len(piece)
                    if offset == 0:
                        found.update(piece)
                    yield piece
                problem = SourceUnavailable(f"The {self.origin} ended the blob {descriptor.digest} after {at} bytes.")
            except SourceUnavailable as error:
                problem = error
            if at >= descriptor.size:
                break
            failures = 0 if at - before >= CHUNK else failures + 1
            if failures >= TRIES:
                raise problem
        if offset == 0 and f"sha256:{found.hexdigest()}" != descriptor.digest:
            raise DigestMismatch(
                f"A blob of the {self.origin} has the digest sha256:{found.hexdigest()}, not {descriptor.digest}.",
                expected=descriptor.digest,
                found=f"sha256:{found.hexdigest()}",
            )

    async def _blob(self, descriptor: Descriptor, at: int) -> AsyncIterator[bytes]:
        """One try: bytes from ``at`` on, never more than the blob has."""
        headers = {"Range": f"bytes={at}-"} if at else {}
        async with self._session.get(f"/blobs/{descriptor.digest}", headers) as answer:
            if answer.status_code == 404:
                raise BlobUnknown(f"The {self.origin} has no blob {descriptor.digest}.", digest=descriptor.digest)
            if answer.status_code == 416:
                raise SourceUnavailable(f"The {self.origin} has less than {at} bytes of {descriptor.digest}.")
            skip = at if answer.status_code == 200 else 0  # a server may ignore ranges
            left = descriptor.size - at
            async for data in answer.aiter_raw(CHUNK):
                piece = data[skip:][:left]
                skip = max(skip - len(data), 0)
                left -= len(piece)
                if piece:
                    yield piece

    async def _manifest(self, reference: str) -> bytes:
        async with self._session.get(f"/manifests/{reference}", {"Accept": _ACCEPT}) as answer:
            missing = answer.status_code >= 400
            raw = b"" if missing else await self._document(answer, "a manifest")
        if missing:
            raise await self._not_found(reference)
        if ":" in reference and digests.of(raw) != reference:
            raise DigestMismatch(
                f"The {self.origin} answered to {reference} with a manifest of the digest {digests.of(raw)}.",
                expected=reference,
                found=digests.of(raw),
            )
        return raw

    async def _not_found(self, reference: str) -> ImageNotFound:
        try:
            known = [name.tag or "" for name in await self.references()]
        except LimaniError:
            known = []
        listed = ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
        there = f"; it has the tags {listed}" if known else ""
        return ImageNotFound(
            f"The {self.origin} has no {self._name.repository} {reference}{there}.",
            hint="Check the name and the tag; some registries also say so when the credentials may not see it.",
            found=known[:1000],
        )

    async def _document(self, answer: httpx2.Response, what: str) -> bytes:
        raw = bytearray()
        async for piece in answer.aiter_raw(CHUNK):
            raw += piece
            if len(raw) > MAX_DOCUMENT:
                text = f"The {self.origin} sent {what} of more than {MAX_DOCUMENT} bytes."
                raise LimitExceeded(text, limit=MAX_DOCUMENT)
        return bytes(raw)
