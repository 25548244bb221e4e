"""A Store in memory, for tests."""

import asyncio
import itertools
from collections.abc import AsyncIterator

from limani.distribution.store import Upload
from limani.errors import BlobUnknown, DigestMismatch, ImageNotFound, RangeInvalid, UploadUnknown
from limani.image import digest as digests
from limani.image.manifest import Manifest, parse_document


class MemoryStore:
    """Blobs, sessions and manifests in dictionaries."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytearray] = {}
        self.hints: dict[str, str] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._grown = asyncio.Condition()
        self._ids = itertools.count(1)
        self.stop_after: int | None = None  # bytes after which reading a blob stops, as when a peer goes away

    async def stat_blob(self, digest: str) -> int:
        if digest not in self.blobs:
            raise BlobUnknown(f"There is no blob {digest}.", digest=digest)
        return len(self.blobs[digest])

    async def read_blob(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        await self.stat_blob(digest)
        data = self.blobs[digest][offset : offset + length][: self.stop_after]
        for at in range(0, len(data), 1000):
            yield data[at : at + 1000]

    async def start_upload(self, digest: str | None) -> Upload:
        if digest in self.hints:
            return Upload(self.hints[digest], len(self.uploads[self.hints[digest]]))
        name = f"upload-{next(self._ids)}"
        self.uploads[name] = bytearray()
        if digest:
            self.hints[digest] = name
        return Upload(name)

    def _session(self, upload_id: str) -> bytearray:
        if upload_id not in self.uploads:
            raise UploadUnknown("There is no such upload.")
        return self.uploads[upload_id]

    async def append(self, upload_id: str, offset: int | None, chunks: AsyncIterator[bytes]) -> int:
        data = self._session(upload_id)
        if offset not in (None, len(data)):
            raise RangeInvalid(f"The upload stands at {len(data)}, not at {offset}.")
        async for piece in chunks:
            data += piece
            async with self._grown:
                self._grown.notify_all()
        return len(data)

    async def arrived(self, size: int) -> None:
        """Wait until some session has ``size`` bytes."""
        async with self._grown:
            await self._grown.wait_for(lambda: any(len(data) >= size for data in self.uploads.values()))

    async def upload_status(self, upload_id: str) -> int:
        return len(self._session(upload_id))

    async def finish_upload(self, upload_id: str, digest: str) -> None:
        data = bytes(self._session(upload_id))
        del self.uploads[upload_id]
        self.hints = {hint: name for hint, name in self.hints.items() if name != upload_id}
        if digests.of(data) != digest:
            raise DigestMismatch(f"The bytes have the digest {digests.of(data)}.")
        self.blobs[digest] = data

    async def cancel_upload(self, upload_id: str) -> None:
        self._session(upload_id)
        del self.uploads[upload_id]

    async def get_manifest(self, repository: str, reference: str) -> tuple[str, bytes, str]:
        if (repository, reference) not in self.manifests:
            raise ImageNotFound(f"There is no {repository}:{reference}.")
        media_type, raw = self.manifests[repository, reference]
        return media_type, raw, digests.of(raw)

    async def put_manifest(self, repository: str, reference: str, media_type: str, raw: bytes) -> str:
        document = parse_document(raw)
        if isinstance(document, Manifest):
            for blob in (document.config, *document.layers):
                await self.stat_blob(blob.digest)
        digest = digests.of(raw)
        self.manifests[repository, reference] = self.manifests[repository, digest] = (media_type, raw)
        return digest

    async def delete_manifest(self, repository: str, reference: str) -> None:
        _, raw, _ = await self.get_manifest(repository, reference)
        for key in [k for k, v in self.manifests.items() if k[0] == repository and v[1] == raw]:
            del self.manifests[key]

    async def tags(self, repository: str) -> list[str]:
        names = [reference for name, reference in self.manifests if name == repository]
        if not names:
            raise ImageNotFound(f"There is no repository {repository}.")
        return [name for name in names if ":" not in name]
