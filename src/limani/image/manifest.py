"""Descriptors, manifests, indexes and image configurations.

OCI image specification v1.1 (descriptor.md, manifest.md, image-index.md, config.md) and Docker's image manifest
version 2 schema 2. Documents keep the bytes they came as (``raw``): their digest is their identity, so nothing is
ever written again from parsed values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from limani.errors import ManifestInvalid, PlatformMissing
from limani.image import _wire, media
from limani.image import digest as digests
from limani.image._wire import MAX_DOCUMENT
from limani.image.descriptor import Descriptor
from limani.image.platform import Platform

__all__ = [
    "MAX_DOCUMENT",
    "Descriptor",
    "ImageConfig",
    "Index",
    "Manifest",
    "Platform",
    "chain_ids",
    "image_documents",
    "parse_document",
]


@dataclass(frozen=True)
class _Document:
    """A JSON document known by its bytes."""

    raw: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """The digest of the bytes."""
        return digests.of(self.raw)


@dataclass(frozen=True)
class Manifest(_Document):
    """An image manifest for one platform (manifest.md)."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Manifest:
        """Parse an OCI or Docker manifest; raises ManifestInvalid or LimitExceeded."""
        wire = _wire.decode(raw, _wire.WireManifest, "image manifest")
        media_type = _wire.media_type("image manifest", wire.schema_version, wire.media_type, media.MANIFESTS)
        if _wire.present(wire.manifests):
            raise ManifestInvalid("A document is an index and a manifest at once; which one is meant cannot be known.")
        layers = tuple(_wire.descriptor(layer, f"layers[{i}]") for i, layer in enumerate(wire.layers))
        return cls(raw, media_type, _wire.descriptor(wire.config, "config"), layers)

    @property
    def descriptor(self) -> Descriptor:
        """What points to this manifest."""
        return Descriptor(self.media_type, self.digest, len(self.raw))


@dataclass(frozen=True)
class Index(_Document):
    """An image index: the same image for several platforms (image-index.md)."""

    media_type: str
    manifests: tuple[Descriptor, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Index:
        """Parse an OCI index or Docker manifest list; raises ManifestInvalid or LimitExceeded."""
        wire = _wire.decode(raw, _wire.WireIndex, "image index")
        media_type = _wire.media_type("image index", wire.schema_version, wire.media_type, media.INDEXES)
        if _wire.present(wire.layers) or _wire.present(wire.config):
            raise ManifestInvalid("A document is an index and a manifest at once; which one is meant cannot be known.")
        return cls(raw, media_type, tuple(_wire.descriptor(d, f"manifests[{i}]") for i, d in enumerate(wire.manifests)))

    @property
    def descriptor(self) -> Descriptor:
        """What points to this index."""
        return Descriptor(self.media_type, self.digest, len(self.raw))

    def images(self) -> tuple[Descriptor, ...]:
        """The entries that are images: no attestations, no nested indexes."""
        return tuple(d for d in self.manifests if d.media_type in media.MANIFESTS and not d.is_attestation)

    def select(self, platform: Platform, there: Callable[[Descriptor], bool] = lambda entry: True) -> Descriptor:
        """The entry that runs best on ``platform``, of those for which ``there`` is true.

        An entry without a platform is taken where no other fits and it is the only one of its kind. Raises
        PlatformMissing naming the platforms there are.
        """
        images = [entry for entry in self.images() if there(entry)]
        ranked = [(platform.runs(entry.platform), i) for i, entry in enumerate(images) if entry.platform]
        fitting = sorted((rank, i) for rank, i in ranked if rank is not None)
        if fitting:
            return images[fitting[0][1]]
        unnamed = [entry for entry in images if entry.platform is None]
        if len(unnamed) == 1:
            return unnamed[0]
        found = sorted({str(entry.platform) for entry in images if entry.platform})
        absent = sorted({str(entry.platform) for entry in self.images() if entry.platform} - set(found))
        listed = f" (listed, but not there: {', '.join(absent)})" if absent else ""
        raise PlatformMissing(
            f"The image has no variant for {platform}; it has {', '.join(found) or 'none at all'}{listed}.",
            platform=str(platform),
            found=found,
        )


@dataclass(frozen=True)
class ImageConfig(_Document):
    """An image configuration (config.md). Its digest is what Docker calls the image ID."""

    platform: Platform
    diff_ids: tuple[str, ...]
    created: str = ""

    @classmethod
    def parse(cls, raw: bytes) -> ImageConfig:
        """Parse a configuration; raises ManifestInvalid or LimitExceeded."""
        wire = _wire.decode(raw, _wire.WireConfig, "image configuration")
        if wire.rootfs.type != "layers":
            raise ManifestInvalid(f"The image configuration has rootfs.type {wire.rootfs.type[:40]!r}, not 'layers'.")
        for number, diff_id in enumerate(wire.rootfs.diff_ids):
            _wire.digest(diff_id, f"rootfs.diff_ids[{number}] of the image configuration")
        platform = Platform.of(wire.os or "linux", wire.architecture, wire.variant or "")
        return cls(raw, platform, tuple(wire.rootfs.diff_ids), wire.created or "")


def parse_document(raw: bytes) -> Index | Manifest:
    """Parse what a name points to, an index or a manifest; raises ManifestInvalid or LimitExceeded."""
    kind = _wire.decode(raw, _wire.WireKind, "manifest")
    if kind.media_type in media.INDEXES or (not kind.media_type and _wire.present(kind.manifests)):
        return Index.parse(raw)
    return Manifest.parse(raw)


def chain_ids(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """The ChainID of every layer, the base first (config.md, section "Layer ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digests.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


def image_documents(
    spec_documents: Sequence[tuple[str, bytes]],
) -> tuple[Index | None, Manifest, ImageConfig]:
    """Parse the documents of one image, as (media type, bytes): [index,] manifest, configuration.

    Checks that each names the next by digest and size and that the configuration has a diffID for every layer;
    raises ManifestInvalid or LimitExceeded.
    """
    if len(spec_documents) not in (2, 3):
        raise ManifestInvalid(
            f"An image has 2 or 3 documents ([index,] manifest, configuration), not {len(spec_documents)}."
        )
    index = Index.parse(spec_documents[0][1]) if len(spec_documents) == 3 else None
    manifest = Manifest.parse(spec_documents[-2][1])
    parsed: list[Index | Manifest] = [index, manifest] if index else [manifest]
    for (media_type, _), document in zip(spec_documents, parsed, strict=False):
        if media_type != document.media_type:
            raise ManifestInvalid(f"A document sent as {media_type[:120]!r} is {document.media_type!r}.")
    if index:
        entry = next((d for d in index.manifests if d.digest == manifest.digest), None)
        if entry is None:
            raise ManifestInvalid(f"The index {index.digest} does not name the manifest {manifest.digest}.")
        _check_size(entry, manifest.raw, "The manifest")
    return index, manifest, check_config(manifest, spec_documents[-1][1])


def check_config(manifest: Manifest, raw: bytes) -> ImageConfig:
    """Parse the configuration ``manifest`` names and check that the two agree; raises ManifestInvalid."""
    if digests.of(raw) != manifest.config.digest:
        raise ManifestInvalid(
            f"The image configuration has the digest {digests.of(raw)}; its manifest names {manifest.config.digest}."
        )
    _check_size(manifest.config, raw, "The image configuration")
    if manifest.config.media_type not in media.CONFIGS:
        raise ManifestInvalid(
            f"The manifest describes {manifest.config.media_type[:120]!r}, which is not a container image.",
            hint="Name a container image; artifacts of other kinds cannot be put on nodes.",
        )
    config = ImageConfig.parse(raw)
    if len(config.diff_ids) != len(manifest.layers):
        raise ManifestInvalid(
            f"The manifest has {len(manifest.layers)} layers, its configuration {len(config.diff_ids)} diff_ids."
        )
    for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
        if media.layer_compression(layer.media_type) == "" and layer.digest != diff_id:
            raise ManifestInvalid(
                f"The uncompressed layer {layer.digest} has another diffID in the configuration: {diff_id}."
            )
    return config


def _check_size(descriptor: Descriptor, raw: bytes, what: str) -> None:
    if descriptor.size != len(raw):
        raise ManifestInvalid(f"{what} {descriptor.digest} has {len(raw)} bytes; what names it says {descriptor.size}.")
