"""What the ``/v2/`` server needs of whoever holds blobs and manifests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload session. ``offset``: bytes it already has."""

    id: str
    offset: int = 0


class Store(Protocol):
    """Blobs (by digest, whatever the repository), upload sessions, manifests.

    Digests are checked (``limani.image.digest.parse``) before they get here, repository names and tags too.
    """

    async def stat_blob(self, digest: str) -> int:
        """Size of a blob in bytes; raises BlobUnknown."""

    def read_blob(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """``length`` bytes from ``offset`` on. May wait for bytes that are still arriving; ends early if they stop.

        Raises BlobUnknown before the first piece.
        """

    async def start_upload(self, digest: str | None) -> Upload:
        """A new session, or, where the client says what it will send, the one that holds part of it already."""

    async def append(self, upload_id: str, offset: int | None, chunks: AsyncIterator[bytes]) -> int:
        """Add bytes at ``offset`` (None: wherever the session stands); returns the bytes it has then.

        What arrived before ``chunks`` failed is kept. Raises UploadUnknown, RangeInvalid where ``offset`` is not
        where the session stands, NotEnoughDisk.
        """

    async def upload_status(self, upload_id: str) -> int:
        """Bytes a session has; raises UploadUnknown."""

    async def finish_upload(self, upload_id: str, digest: str) -> None:
        """Make a session's bytes the blob ``digest``; raises UploadUnknown, RangeInvalid (too few), DigestMismatch."""

    async def cancel_upload(self, upload_id: str) -> None:
        """Throw a session away; raises UploadUnknown."""

    async def get_manifest(self, repository: str, reference: str) -> tuple[str, bytes, str]:
        """(media type, bytes, digest) of a manifest or index by tag or digest; raises ImageNotFound."""

    async def put_manifest(self, repository: str, reference: str, media_type: str, raw: bytes) -> str:
        """Keep a manifest or index (checked to be one) under a tag or its digest; returns its digest.

        Raises BlobUnknown where it refers to what is not there, Unsupported.
        """

    async def delete_manifest(self, repository: str, reference: str) -> None:
        """Forget a tag, or a manifest with all its tags; raises ImageNotFound, ImageInUse."""

    async def tags(self, repository: str) -> list[str]:
        """Tags of a repository, in any order; raises ImageNotFound where there is no such repository."""
