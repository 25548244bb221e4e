"""Images made in memory: what a seed request names, and the layers' bytes."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limani.engine.target import Target
from limani.image import digest as digests
from limani.image import media
from limani.image.platform import Platform
from limani.wire import Document, ImageSpec


class Arrival:
    """A blob on its way (``engine.base.Arriving``), moved by a test."""

    def __init__(self, path: Path, size: int, received: int = 0, *, verified: bool = False) -> None:
        self.path, self.size, self.received, self.verified, self.epoch = path, size, received, verified, 0
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        await self._changed.wait()

    def add(self, data: bytes) -> None:
        """More bytes have come."""
        with self.path.open("ab") as file:
            file.write(data)
        self.received += len(data)
        self._notify()

    def verify(self) -> None:
        """It is the blob."""
        self.verified = True
        self._notify()

    def rewind(self) -> None:
        """It was not: everything is thrown away."""
        self.path.unlink()
        self.received, self.epoch = 0, self.epoch + 1
        self._notify()

    def _notify(self) -> None:
        event, self._changed = self._changed, asyncio.Event()
        event.set()


def arrived(path: Path) -> Arrival:
    """A blob that is complete."""
    size = path.stat().st_size
    return Arrival(path, size, size, verified=True)


@dataclass(frozen=True)
class SampleLayer:
    """A layer's blob and the digest of its tar."""

    data: bytes
    diff_id: str
    media_type: str

    @property
    def digest(self) -> str:
        return digests.of(self.data)


@dataclass(frozen=True)
class Sample:
    """An image and its layers by digest."""

    spec: ImageSpec
    blobs: Mapping[str, bytes]

    @property
    def target(self) -> Target:
        return Target.parse(self.spec)

    def files(self, folder: Path) -> dict[str, Path]:
        """The layers as files, by digest."""
        found = {}
        for digest, data in self.blobs.items():
            found[digest] = folder / digest.removeprefix("sha256:")
            found[digest].write_bytes(data)
        return found


def layer(
    size: int = 1000, *, name: str = "", compress: bool = True, files: Mapping[str, bytes] | None = None
) -> SampleLayer:
    """A layer with one file of random bytes, or with the files given."""
    content = files if files is not None else {name or f"data/{os.urandom(4).hex()}": os.urandom(size)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, data in content.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    raw = buffer.getvalue()
    data = gzip.compress(raw, 1, mtime=0) if compress else raw
    return SampleLayer(data, digests.of(raw), media.layer_type("gzip" if compress else ""))


def sample(
    reference: str,
    layers: Sequence[SampleLayer] | None = None,
    *,
    pin: bool = False,
    index: bool = False,
    command: Sequence[str] = ("/bin/true",),
    diff_ids: Sequence[str] | None = None,
) -> Sample:
    """An image; ``diff_ids`` to lie about its layers, ``index``: as one platform of two."""
    layers = [layer(), layer()] if layers is None else layers
    host = Platform.host()
    platform = {"os": host.os, "architecture": host.architecture}
    config = _json(
        {
            **platform,
            "created": "2026-01-01T00:00:00Z",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids or [item.diff_id for item in layers])},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": media.OCI_MANIFEST,
            "config": _descriptor(media.OCI_CONFIG, config),
            "layers": [_descriptor(item.media_type, item.data) for item in layers],
        }
    )
    documents = [Document(media.OCI_MANIFEST, manifest), Document(media.OCI_CONFIG, config)]
    if index:
        other = _descriptor(media.OCI_MANIFEST, b"not here") | {"platform": {"os": "linux", "architecture": "s390x"}}
        mine = _descriptor(media.OCI_MANIFEST, manifest) | {"platform": platform}
        document = _json({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [other, mine]})
        documents.insert(0, Document(media.OCI_INDEX, document))
    return Sample(ImageSpec(reference, tuple(documents), pin), {item.digest: item.data for item in layers})


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digests.of(data), "size": len(data)}
