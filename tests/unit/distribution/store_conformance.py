"""What every Store must do. Inherit ``StoreConformance`` in a test module and give it a fixture ``store``.

A store that cannot take manifests in general sets ``takes_manifests`` to False.
"""

import os
from collections.abc import AsyncIterator

import pytest

from limani.distribution.store import Store
from limani.errors import (
    BlobUnknown,
    DigestMismatch,
    ImageNotFound,
    LimaniError,
    RangeInvalid,
    UploadUnknown,
)
from limani.image import digest as digests
from limani.image import media
from limani.image.descriptor import Descriptor


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    """Pieces as a body."""
    for piece in pieces:
        yield piece


async def read(store: Store, digest: str, offset: int, length: int) -> bytes:
    """A stretch of a blob."""
    return b"".join([piece async for piece in store.read_blob(digest, offset, length)])


async def put(store: Store, data: bytes) -> str:
    """Store a blob."""
    upload = await store.start_upload(None)
    assert await store.append(upload.id, None, chunks(data)) == len(data)
    await store.finish_upload(upload.id, digests.of(data))
    return digests.of(data)


class StoreConformance:
    """Tests of the ``Store`` protocol."""

    takes_manifests = True

    async def test_blob_round_trip(self, store: Store) -> None:
        """A blob that was sent can be read whole and in parts."""
        data = os.urandom(300_000)
        digest = await put(store, data)
        assert await store.stat_blob(digest) == len(data)
        assert await read(store, digest, 0, len(data)) == data
        assert await read(store, digest, 1234, 5000) == data[1234:6234]
        assert await read(store, digest, len(data) - 1, 1) == data[-1:]

    async def test_unknown_blob(self, store: Store) -> None:
        """What is not there is unknown, to stat and to read."""
        digest = digests.of(os.urandom(8))
        with pytest.raises(BlobUnknown):
            await store.stat_blob(digest)
        with pytest.raises(BlobUnknown):
            await read(store, digest, 0, 1)

    async def test_chunks_go_where_the_session_stands(self, store: Store) -> None:
        """Chunks are appended in order; one for another place is refused and changes nothing."""
        data = os.urandom(10_000)
        upload = await store.start_upload(None)
        assert upload.offset == 0
        assert await store.append(upload.id, 0, chunks(data[:4000])) == 4000
        for wrong in (0, 3999, 4001):
            with pytest.raises(RangeInvalid):
                await store.append(upload.id, wrong, chunks(b"x"))
        assert await store.upload_status(upload.id) == 4000
        assert await store.append(upload.id, 4000, chunks(data[4000:9000], data[9000:])) == 10_000
        await store.finish_upload(upload.id, digests.of(data))
        assert await read(store, digests.of(data), 0, 10_000) == data

    async def test_what_arrived_before_a_cut_is_kept(self, store: Store) -> None:
        """A body that breaks leaves the session where the bytes ended."""

        async def broken() -> AsyncIterator[bytes]:
            yield b"a" * 1000
            raise ConnectionResetError

        upload = await store.start_upload(None)
        with pytest.raises((ConnectionResetError, LimaniError)):
            await store.append(upload.id, 0, broken())
        assert await store.upload_status(upload.id) == 1000
        await store.append(upload.id, 1000, chunks(b"b"))
        await store.finish_upload(upload.id, digests.of(b"a" * 1000 + b"b"))

    async def test_wrong_bytes_are_thrown_away(self, store: Store) -> None:
        """Bytes of another digest never become a blob."""
        wanted = digests.of(os.urandom(8))
        upload = await store.start_upload(None)
        await store.append(upload.id, 0, chunks(b"something else"))
        with pytest.raises(DigestMismatch):
            await store.finish_upload(upload.id, wanted)
        with pytest.raises(BlobUnknown):
            await store.stat_blob(wanted)
        with pytest.raises(BlobUnknown):
            await store.stat_blob(digests.of(b"something else"))

    async def test_cancelled_and_unknown_sessions(self, store: Store) -> None:
        """A session that was ended, or never was, is unknown."""
        upload = await store.start_upload(None)
        await store.cancel_upload(upload.id)
        for name in (upload.id, "nonsense"):
            with pytest.raises(UploadUnknown):
                await store.upload_status(name)
            with pytest.raises(UploadUnknown):
                await store.append(name, 0, chunks(b"x"))
            with pytest.raises(UploadUnknown):
                await store.cancel_upload(name)
            with pytest.raises(UploadUnknown):
                await store.finish_upload(name, digests.of(b""))

    async def test_empty_blob(self, store: Store) -> None:
        """The blob of no bytes is a blob."""
        digest = await put(store, b"")
        assert await store.stat_blob(digest) == 0
        assert await read(store, digest, 0, 0) == b""

    async def test_manifest_round_trip(self, store: Store) -> None:
        """A manifest is found by its tag and its digest until it is deleted."""
        if not self.takes_manifests:
            pytest.skip("this store takes manifests of images only")
        config = b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}'
        raw = manifest(config)
        with pytest.raises(BlobUnknown):
            await store.put_manifest("a/b", "1", media.OCI_MANIFEST, manifest(b"not there"))
        await put(store, config)
        digest = await store.put_manifest("a/b", "1", media.OCI_MANIFEST, raw)
        assert digest == digests.of(raw)
        for reference in ("1", digest):
            assert await store.get_manifest("a/b", reference) == (media.OCI_MANIFEST, raw, digest)
        assert await store.tags("a/b") == ["1"]
        await store.delete_manifest("a/b", digest)
        for reference in ("1", digest):
            with pytest.raises(ImageNotFound):
                await store.get_manifest("a/b", reference)

    async def test_unknown_manifest(self, store: Store) -> None:
        """A manifest that is not there is not found."""
        for reference in ("1", digests.of(b"x")):
            with pytest.raises(ImageNotFound):
                await store.get_manifest("not/there", reference)
            with pytest.raises(ImageNotFound):
                await store.delete_manifest("not/there", reference)


def manifest(config: bytes) -> bytes:
    """A manifest without layers."""
    import json

    described = Descriptor(media.OCI_CONFIG, digests.of(config), len(config)).to_json()
    return json.dumps({"schemaVersion": 2, "mediaType": media.OCI_MANIFEST, "config": described, "layers": []}).encode()
