"""Reads an image of two GB in a fresh process and prints how much its memory grew: ``memory_probe.py FORM FOLDER``."""

import asyncio
import hashlib
import json
import re
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from limani.image import digest as digests
from limani.image import media
from limani.image.archive import ArchiveSource
from limani.image.platform import Platform
from limani.image.unpack import Readable

SIZE = 2_000_000_000
_PIECE = bytes(1 << 20)


def tar_pieces() -> Iterator[bytes]:
    """An OCI archive whose only layer is SIZE zeros."""
    found = hashlib.sha256()
    for _ in range(SIZE // len(_PIECE)):
        found.update(_PIECE)
    found.update(bytes(SIZE % len(_PIECE)))
    layer = {"mediaType": media.OCI_LAYER, "digest": f"sha256:{found.hexdigest()}", "size": SIZE}
    rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode()
    manifest = json.dumps({"schemaVersion": 2, "config": _points(config, media.OCI_CONFIG), "layers": [layer]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [_points(manifest, media.OCI_MANIFEST)]}).encode()
    yield _member("index.json", index)
    for document in (config, manifest):
        yield _member(f"blobs/sha256/{digests.of(document)[7:]}", document)
    info = tarfile.TarInfo(f"blobs/sha256/{found.hexdigest()}")
    info.size = SIZE
    yield info.tobuf()
    for _ in range(SIZE // len(_PIECE)):
        yield _PIECE
    yield bytes(SIZE % len(_PIECE) + -SIZE % 512 + 1024)


def _points(raw: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "digest": digests.of(raw), "size": len(raw)}


def _member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf() + data + bytes(-len(data) % 512)


def packed(form: str) -> Iterator[bytes]:
    """The archive, packed so that its size stays (the memory counts here, not the ratio)."""
    if form == "gzip":
        packer = zlib.compressobj(0, zlib.DEFLATED, 31)
        yield from (packer.compress(piece) for piece in tar_pieces())
        yield packer.flush()
        return
    yield from tar_pieces()


class Generated:
    """Pieces as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int = -1, /) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def close(self) -> None:
        """Nothing to close."""


def source(form: str, folder: Path) -> ArchiveSource:
    """The archive as a sparse file or as a stream."""
    if form == "zstd":
        path = folder / "zstd.bin"
        with path.open("wb") as file:
            packer = zstandard.ZstdCompressor(level=1).compressobj()
            for piece in tar_pieces():
                file.write(packer.compress(piece))
            file.write(packer.flush())
        from limani.image.archive import Limits

        return ArchiveSource(path, limits=Limits(ratio=1_000_000))
    if form == "tar":
        path = folder / "sparse.bin"
        with path.open("wb") as file:
            for piece in tar_pieces():
                if any(piece[:64]):
                    file.write(piece)
                else:
                    file.seek(len(piece), 1)
            file.truncate()
        return ArchiveSource(path)

    def opener() -> Readable:
        return Generated(packed(form))

    return ArchiveSource(opener=opener)


def peak() -> int:
    """Largest resident memory of this process so far, in bytes."""
    text = Path("/proc/self/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert match
    return int(match[1]) * 1024


async def read(found: ArchiveSource) -> int:
    """Read all blobs; returns the bytes."""
    total = 0
    async with found:
        image = await found.image(None, Platform.parse("linux/amd64"))
        for layer in image.manifest.layers:
            async for piece in found.open(layer):
                total += len(piece)
    return total


if __name__ == "__main__":
    made = source(sys.argv[1], Path(sys.argv[2]))
    Path("/proc/self/clear_refs").write_text("5")  # begin to count anew
    before = peak()
    assert asyncio.run(read(made)) == SIZE
    print(peak() - before)
