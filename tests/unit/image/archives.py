"""Archives for tests: one small image in every form Limani reads."""

import gzip
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from limani.image import digest as digests
from limani.image.archive import ArchiveSource
from limani.image.manifest import Descriptor, Platform
from limani.image.writer import ImageToWrite, Layer, build_layer_from_files, write_archive

AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
Files = dict[str, bytes]


def read_tar(data: bytes) -> Files:
    """The regular files of a tar, in order."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}  # type: ignore[union-attr]


def make_tar(files: Files, links: dict[str, str] | None = None) -> bytes:
    """A tar of files and, after them, symbolic links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return out.getvalue()


@dataclass
class Sample:
    """An OCI archive with one image of two layers, the second packed with gzip."""

    oci: bytes
    layers: list[Layer]
    digest: str
    config_digest: str

    @property
    def files(self) -> Files:
        return read_tar(self.oci)

    @property
    def config(self) -> bytes:
        return self.files[f"blobs/sha256/{self.config_digest[7:]}"]


def sample(folder: Path, reference: str | None = "r.example/app:1", size: int = 5000) -> Sample:
    """Write the sample image."""
    layers = [
        build_layer_from_files({"/etc/os-release": b"ID=limani\n" * (size // 10)}, folder),
        build_layer_from_files({"/app/main.py": bytes(range(256)) * (size // 256)}, folder, "gzip"),
    ]
    (written,) = write_archive(folder / "x.tar", [ImageToWrite(reference, layers, {"Cmd": ["x"]}, AMD)])
    return Sample((folder / "x.tar").read_bytes(), layers, written.digest, written.config_digest)


def docker_files(image: Sample, tags: Any = ("r.example/app:1",)) -> Files:
    """The same image as ``docker save`` writes it (unpacked layers in folders, configuration at the top)."""
    files: Files = {}
    names = []
    for number, layer in enumerate(image.layers):
        data = layer.path.read_bytes()
        name = f"{number:064x}/layer.tar"
        files[f"{number:064x}/VERSION"] = b"1.0"
        files[f"{number:064x}/json"] = b'{"id":"x"}'
        files[name] = gzip.decompress(data) if layer.descriptor.media_type.endswith("gzip") else data
        names.append(name)
    config = f"{image.config_digest[7:]}.json"
    files[config] = image.config
    files["manifest.json"] = json.dumps([{"Config": config, "RepoTags": tags, "Layers": names}]).encode()
    files["repositories"] = b"{}"
    return files


def zstd(data: bytes) -> bytes:
    """Packed with zstd, with a checksum."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


class Pipe(io.RawIOBase):
    """Bytes that can only be read forward, a little at a time."""

    def __init__(self, data: bytes, step: int = 10_000) -> None:
        self._data, self._at, self._step = data, 0, step

    def read(self, size: int = -1, /) -> bytes:
        size = min(size if size >= 0 else self._step, self._step)
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def seek(self, *_: Any) -> int:
        raise OSError("a pipe cannot seek")


def in_folder(folder: Path, data: bytes) -> Path:
    """Unpack an OCI tar."""
    for name, content in read_tar(data).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def as_file(folder: Path, data: bytes) -> ArchiveSource:
    """A source over a file whose name says nothing."""
    path = folder / "archive.bin"
    path.write_bytes(data)
    return ArchiveSource(path)


FORMS: dict[str, Callable[[Path, bytes], ArchiveSource]] = {
    "tar": as_file,
    "gzip": lambda folder, data: as_file(folder, gzip.compress(data)),
    "zstd": lambda folder, data: as_file(folder, zstd(data)),
    "stream": lambda folder, data: ArchiveSource(opener=lambda: Pipe(data), origin="docker export"),
    "packed stream": lambda folder, data: ArchiveSource(opener=lambda: Pipe(gzip.compress(data), 100)),
}
"""Ways the same tar can come."""


async def collect(pieces: AsyncIterator[bytes]) -> bytes:
    """All bytes of a blob."""
    return b"".join([piece async for piece in pieces])


def descriptor(data: bytes, media_type: str = "application/octet-stream") -> Descriptor:
    """What points to ``data``."""
    return Descriptor(media_type, digests.of(data), len(data))
