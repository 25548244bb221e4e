"""Where images come from: an archive, a registry, a local runtime. One small interface for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from limani.errors import LimitExceeded, PlatformMissing
from limani.image.manifest import (
    MAX_DOCUMENT,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    check_config,
    parse_document,
)
from limani.image.platform import Platform
from limani.image.reference import Reference

CHUNK = 1 << 20
"""Largest piece ``Source.open`` yields, in bytes."""


@dataclass(frozen=True)
class SourceImage:
    """An image for one platform as a source describes it.

    ``reference``: the name it has there (None: it has none). ``index``: the multi-platform document the name points
    to, None where it points to the manifest itself.
    """

    reference: Reference | None
    index: Index | None
    manifest: Manifest
    config: ImageConfig

    @property
    def digest(self) -> str:
        """The digest of what the name points to; the image keeps it on every node."""
        return self.index.digest if self.index else self.manifest.digest

    def documents(self) -> tuple[tuple[str, bytes], ...]:
        """The small documents as (media type, bytes), the target first: what ``image_documents`` takes."""
        index = ((self.index.media_type, self.index.raw),) if self.index else ()
        manifest = (self.manifest.media_type, self.manifest.raw)
        return (*index, manifest, (self.manifest.config.media_type, self.config.raw))


class Source(Protocol):
    """A place images are read from. Use it as an async context manager; it may be entered once."""

    @property
    def origin(self) -> str:
        """What to call the source in messages, for example ``archive ./x.tar`` or ``registry r.example``."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def image(self, reference: Reference | None, platform: Platform) -> SourceImage:
        """The image of that name (None: the only one there is) for ``platform``.

        Raises ImageNotFound (naming what there is), PlatformMissing, ManifestInvalid, LimitExceeded, and what
        ``open`` raises.
        """

    async def references(self) -> list[Reference]:
        """All names there are, sorted; empty where a source cannot list them."""

    def open(self, descriptor: Descriptor, offset: int = 0) -> AsyncIterator[bytes]:
        """The bytes of a blob from ``offset`` on, in pieces of at most ``CHUNK``.

        Raises DigestMismatch when the whole blob was read and does not have its digest, ArchiveInvalid or
        SourceUnavailable when it cannot be read, BlobUnknown when it is not there.
        """


async def image_of(
    source: Source,
    reference: Reference,
    document: bytes,
    platform: Platform,
    manifest: Callable[[Descriptor], Awaitable[bytes]],
) -> SourceImage:
    """The image a name stands for in a source that keeps blobs by digest. ``document``: what the name points to.

    ``manifest`` reads the platform's manifest where that is an index. Raises PlatformMissing, ManifestInvalid,
    LimitExceeded, and what ``manifest`` and ``source.open`` raise.
    """
    found = parse_document(document)
    index = found if isinstance(found, Index) else None
    if isinstance(found, Index):
        found = Manifest.parse(await manifest(found.select(platform)))
    config = check_config(found, await read_document(source, found.config))
    if index is None and config.platform.architecture and platform.runs(config.platform) is None:
        raise PlatformMissing(
            f"{reference.familiar()} in the {source.origin} is for {config.platform}, not for {platform}.",
            platform=str(platform),
            found=[str(config.platform)],
        )
    return SourceImage(reference, index, found, config)


async def read_document(source: Source, descriptor: Descriptor) -> bytes:
    """A small blob as a whole. Raises LimitExceeded for one that is not small."""
    if descriptor.size > MAX_DOCUMENT:
        text = f"{descriptor.digest} in the {source.origin} has {descriptor.size} bytes."
        raise LimitExceeded(text, found=descriptor.size, limit=MAX_DOCUMENT)
    return b"".join([piece async for piece in source.open(descriptor)])
