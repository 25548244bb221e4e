"""Writing images without a registry or a container tool: an OCI image layout in a tar file.

OCI image specification v1.1, image-layout.md. The archive also has Docker's ``manifest.json``, so every Docker since
20.10 loads it. Same input, same bytes.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from limani.errors import BadInput
from limani.image import digest as digests
from limani.image import media
from limani.image.descriptor import Descriptor
from limani.image.layer import (
    File,
    Folder,
    Layer,
    LayerBuilder,
    Symlink,
    build_layer_from_files,
    build_layer_from_folder,
    fixed_time,
)
from limani.image.platform import Platform
from limani.image.reference import Reference
from limani.image.tree import build_layer_from_difference, build_layer_from_tar

__all__ = [
    "File",
    "Folder",
    "ImageToWrite",
    "Layer",
    "LayerBuilder",
    "Symlink",
    "WrittenImage",
    "build_layer_from_difference",
    "build_layer_from_files",
    "build_layer_from_folder",
    "build_layer_from_tar",
    "write_archive",
]


@dataclass(frozen=True)
class ImageToWrite:
    """An image for one platform.

    ``config``: the object ``config`` of the image configuration (Entrypoint, Cmd, Env, User, WorkingDir, Labels, ...).
    Images of the same reference and different platforms become one index.
    """

    reference: str | None
    layers: Sequence[Layer]
    config: Mapping[str, Any] = field(default_factory=dict)
    platform: Platform = field(default_factory=Platform.host)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WrittenImage:
    """What became of an image. ``digest``: of what its name points to; ``config_digest``: Docker's image ID."""

    reference: Reference | None
    digest: str
    manifest_digest: str
    config_digest: str


@dataclass
class _Blobs:
    """What goes below ``blobs/sha256``: documents first, then layers, each once."""

    documents: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)

    def add(self, media_type: str, data: Any, **more: Any) -> Descriptor:
        raw = _json(data)
        digest = digests.of(raw)
        self.documents[digest] = raw
        return Descriptor(media_type, digest, len(raw), **more)


def write_archive(path: Path, images: Sequence[ImageToWrite], *, docker: bool = True) -> list[WrittenImage]:
    """Write ``images`` to ``path`` (replaced at once when complete); returns one result per image, in order.

    ``docker``: also write ``manifest.json`` (it names images of this machine's platform or of the only one).
    Raises ReferenceInvalid, BadInput.
    """
    if not images:
        raise BadInput("No image was given to write.")
    blobs = _Blobs()
    named = [Reference.parse(image.reference) if image.reference else None for image in images]
    manifests = [_manifest(image, blobs) for image in images]
    targets: list[Descriptor] = []
    top: list[dict[str, Any]] = []
    for number, reference in enumerate(named):
        same = [i for i, other in enumerate(named) if other == reference and reference is not None] or [number]
        if same[0] != number:
            targets.append(targets[same[0]])
            continue
        target = manifests[number] if len(same) == 1 else _index([manifests[i] for i in same], blobs)
        targets.append(target)
        names = _name_annotations(reference)
        top.append({**target.to_json(), **({"annotations": names} if names else {})})
    head: list[tuple[str, bytes]] = [
        ("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
        ("index.json", _json({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": top})),
    ]
    if docker:
        head.append(("manifest.json", _json(_docker_manifest(images, named, manifests, blobs))))
    _write_tar(path, head, blobs)
    return [
        WrittenImage(reference, target.digest, manifest.digest, _config_digest(manifest, blobs))
        for reference, target, manifest in zip(named, targets, manifests, strict=True)
    ]


def _manifest(image: ImageToWrite, blobs: _Blobs) -> Descriptor:
    created = datetime.fromtimestamp(fixed_time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config: dict[str, Any] = {
        "created": created,
        "architecture": image.platform.architecture,
        "os": image.platform.os,
        "config": dict(image.config),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
        "history": [{"created": created, "created_by": layer.created_by or "limani"} for layer in image.layers],
    }
    if image.platform.variant:
        config["variant"] = image.platform.variant
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": blobs.add(media.OCI_CONFIG, config).to_json(),
        "layers": [layer.descriptor.to_json() for layer in image.layers],
    }
    if image.annotations:
        manifest["annotations"] = dict(image.annotations)
    blobs.layers.update({layer.descriptor.digest: layer for layer in image.layers})
    return blobs.add(media.OCI_MANIFEST, manifest, platform=image.platform)


def _index(manifests: Sequence[Descriptor], blobs: _Blobs) -> Descriptor:
    entries = [manifest.to_json() for manifest in manifests]
    return blobs.add(media.OCI_INDEX, {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries})


def _name_annotations(reference: Reference | None) -> dict[str, str]:
    """The names as Docker and containerd write them: the full one, and the tag as the specification's annotation."""
    if reference is None:
        return {}
    tag = {"org.opencontainers.image.ref.name": reference.tag} if reference.tag else {}
    return {"io.containerd.image.name": str(reference), **tag}


def _docker_manifest(
    images: Sequence[ImageToWrite],
    named: Sequence[Reference | None],
    manifests: Sequence[Descriptor],
    blobs: _Blobs,
) -> list[dict[str, Any]]:
    entries = []
    for image, reference, manifest in zip(images, named, manifests, strict=True):
        rivals = [other for other, name in zip(images, named, strict=True) if name == reference and name is not None]
        if len(rivals) > 1 and image.platform != Platform.host():
            continue  # docker-archive knows one platform per name
        entries.append(
            {
                "Config": _blob_path(_config_digest(manifest, blobs)),
                "RepoTags": [reference.familiar()] if reference and reference.tag and not reference.digest else None,
                "Layers": [_blob_path(layer.descriptor.digest) for layer in image.layers],
            }
        )
    return entries


def _config_digest(manifest: Descriptor, blobs: _Blobs) -> str:
    return str(json.loads(blobs.documents[manifest.digest])["config"]["digest"])


def _blob_path(digest: str) -> str:
    return f"blobs/sha256/{digests.hex_part(digest)}"


def _write_tar(path: Path, head: Sequence[tuple[str, bytes]], blobs: _Blobs) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    temporary = Path(name)
    try:
        with (
            os.fdopen(descriptor, "wb") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path_inside, raw in head:
                _add(tar, path_inside, len(raw), BytesIO(raw))
            for folder in ("blobs", "blobs/sha256"):
                _add(tar, folder, 0, None)
            for digest in sorted(blobs.documents):
                _add(tar, _blob_path(digest), len(blobs.documents[digest]), BytesIO(blobs.documents[digest]))
            for digest, layer in blobs.layers.items():
                with layer.path.open("rb") as content:
                    _add(tar, _blob_path(digest), layer.descriptor.size, content)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def _add(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes] | None) -> None:
    info = tarfile.TarInfo(name)
    info.mtime, info.size, info.mode = fixed_time(), size, 0o644
    if content is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(info, content)


def _json(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
