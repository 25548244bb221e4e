"""Media types of images (OCI image specification v1.1, media-types.md; Docker image manifest version 2 schema 2)."""

from __future__ import annotations

from typing import Literal

from limani.errors import ManifestInvalid, Unsupported

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

Compression = Literal["", "gzip", "zstd"]

_LAYERS: dict[str, Compression] = {
    OCI_LAYER: "",
    f"{OCI_LAYER}+gzip": "gzip",
    f"{OCI_LAYER}+zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
    DOCKER_LAYER: "",
    f"{DOCKER_LAYER}.gzip": "gzip",
    f"{DOCKER_LAYER}.zstd": "zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar": "",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
}


def layer_type(compression: Compression) -> str:
    """The OCI media type of a layer."""
    return f"{OCI_LAYER}+{compression}" if compression else OCI_LAYER


def layer_compression(media_type: str) -> Compression:
    """How a layer is compressed; raises ManifestInvalid for what is no layer, Unsupported for encrypted layers."""
    if media_type.endswith("+encrypted"):
        raise Unsupported(
            f"The layer type {media_type!r} is encrypted; a node cannot unpack it without its key.",
            hint="Decrypt the image first.",
        )
    try:
        return _LAYERS[media_type]
    except KeyError:
        raise ManifestInvalid(
            f"{media_type[:120]!r} is not the media type of an image layer.",
            hint="This is an artifact of another kind, not a container image.",
            media_type=media_type[:120],
        ) from None
