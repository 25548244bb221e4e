"""The archive ``POST /images/load`` gets: only what the daemon lacks, streamed from the spool.

One archive serves both image stores: Docker's ``manifest.json`` for the graph drivers, whose loader looks a layer's
chain up before it opens the layer's file (moby image/tarexport/load.go), and an OCI image layout for the containerd
store, which imports what is there (moby daemon/containerd/image_exporter.go) and keeps the image's digest.
"""

from __future__ import annotations

import asyncio
import json
import os
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from limani.engine.target import Target

PIECE = 1 << 20


async def partial_archive(target: Target, layers: Mapping[str, Path]) -> AsyncIterator[bytes]:
    """Tar bytes of an image with those layers (digest -> verified file); the rest the daemon has."""
    for name, data in _documents(target).items():
        yield _header(name, len(data)) + data + _padding(len(data))
    for digest, path in layers.items():
        size = path.stat().st_size
        yield _header(_blob(digest), size)
        file = os.open(path, os.O_RDONLY)
        try:
            offset = 0
            while offset < size:
                piece = await asyncio.to_thread(os.pread, file, PIECE, offset)
                offset += len(piece)
                yield piece
        finally:
            os.close(file)
        yield _padding(size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _documents(target: Target) -> dict[str, bytes]:
    """The small files, by name."""
    name = f"{target.reference.name}:{target.reference.tag}"
    top = target.descriptor.to_json() | {
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": target.reference.tag}
    }
    legacy = {
        "Config": _blob(target.config.digest),
        "RepoTags": [name],
        "Layers": [_blob(layer.descriptor.digest) for layer in target.layers],
    }
    files: dict[str, bytes] = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [top]}),
        "manifest.json": _json([legacy]),
        _blob(target.config.digest): target.config.raw,
        _blob(target.manifest.digest): target.manifest.raw,
    }
    if target.index:
        files[_blob(target.index.digest)] = target.index.raw
    return files


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o444
    return info.tobuf(tarfile.USTAR_FORMAT if size < 8 << 30 else tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
