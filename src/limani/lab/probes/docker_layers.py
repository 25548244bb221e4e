"""What lies in the layers of an image, also below what its containers see."""

from __future__ import annotations

import asyncio
import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO, Any, cast

import zstandard

from limani.lab.probes import probe
from limani.lab.record import Finding, Text, failed, passed
from limani.lab.world import World

CHUNK = 256 * 1024
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
WHITEOUT = ".wh."
MAGIC_AT, MAGIC = 257, b"ustar"


@probe
async def free_of(world: World, *, image: str, secret: str, file: str) -> Finding:
    """Neither a file called ``file`` nor the words ``secret`` are in any layer of the image or in its config."""
    from docker.errors import ImageNotFound

    wanted = Text("docker.free_wanted", {"image": image, "file": file})
    client = await world.docker()

    def look() -> Search:
        search = Search(secret.encode(), file)
        chunks = client.images.get(image).save(chunk_size=CHUNK)
        search.archive(Stream(chunks))
        for _ in chunks:  # what follows the archive's end, so that the connection is done with
            pass
        return search

    try:
        seen = await asyncio.to_thread(look)
    except ImageNotFound:
        return failed(Text("docker.no_image", {"image": image}), wanted, "no-image")
    if seen.hidden:
        return failed(Text("docker.layer_hides", {"path": seen.hidden}), wanted, "secret-layer", path=seen.hidden)
    if seen.visible:
        return failed(Text("docker.image_shows", {"path": seen.visible}), wanted, "secret-file", path=seen.visible)
    if seen.configured:
        return failed(Text("docker.config_holds", {"image": image}), wanted, "secret-config")
    return passed(Text("docker.free", {"image": image, "layers": seen.layers}), wanted, layers=seen.layers)


class Stream(io.RawIOBase):
    """Chunks of bytes as a file to read, so that an image is never whole in memory."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` from the next chunk."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


class Search:
    """Goes through ``docker save``'s archive, of the old form or OCI's, and notes where the secret lies."""

    def __init__(self, secret: bytes, file: str) -> None:
        self._secret, self._file = secret, file
        self._paths: list[str] = []
        self._removed: set[str] = set()
        self.layers = 0
        self.configured = False

    @property
    def hidden(self) -> str:
        """A path with the secret that a later layer removes, or empty."""
        return next((path for path in self._paths if self._is_removed(path)), "")

    @property
    def visible(self) -> str:
        """A path with the secret that containers see, or empty."""
        return next((path for path in self._paths if not self._is_removed(path)), "")

    def archive(self, stream: IO[bytes] | io.RawIOBase) -> None:
        """Read it all, once, from front to end."""
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=CHUNK) as outer:
            for member in outer:
                content = outer.extractfile(member) if member.isreg() else None
                if content is not None:
                    self._part(content)

    def _part(self, content: IO[bytes]) -> None:
        """A layer, compressed or not, or a JSON file."""
        head = content.read(512)
        whole = io.BufferedReader(Stream(_again(head, content)), CHUNK)
        if head.startswith(GZIP):
            self._layer(gzip.GzipFile(fileobj=whole))
        elif head.startswith(ZSTD):
            with zstandard.ZstdDecompressor().stream_reader(whole) as plain:
                self._layer(io.BufferedReader(cast("io.RawIOBase", plain)))
        elif head[MAGIC_AT:].startswith(MAGIC):
            self._layer(whole)
        else:
            self.configured |= self._holds(whole)

    def _layer(self, stream: Any) -> None:
        self.layers += 1
        with tarfile.open(fileobj=stream, mode="r|") as layer:
            for member in layer:
                path = PurePosixPath("/", member.name)
                if path.name.startswith(WHITEOUT):
                    self._removed.add(str(path.with_name(path.name.removeprefix(WHITEOUT))))
                    continue
                content = layer.extractfile(member) if member.isreg() else None
                if path.name == self._file or (content is not None and self._holds(content)):
                    self._paths.append(str(path))

    def _is_removed(self, path: str) -> bool:
        return path in self._removed or any(str(parent) in self._removed for parent in PurePosixPath(path).parents)

    def _holds(self, content: IO[bytes]) -> bool:
        """Whether the secret is in it, also where two chunks meet."""
        tail = b""
        while chunk := content.read(CHUNK):
            if self._secret in tail + chunk:
                return True
            tail = chunk[-len(self._secret) :]
        return False


def _again(head: bytes, content: IO[bytes]) -> Iterator[bytes]:
    yield head
    while chunk := content.read(CHUNK):
        yield chunk
