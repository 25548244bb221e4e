"""An image as it shall be on a node: the parsed form of ``wire.ImageSpec``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from limani.errors import ManifestInvalid
from limani.image import media
from limani.image.manifest import Descriptor, ImageConfig, Index, Manifest, chain_ids, image_documents
from limani.image.reference import Reference
from limani.wire import Blob, ImageSpec

# What a byte of a layer becomes on disk once unpacked: measured on common images, rounded up.
UNPACKED = {"gzip": 2.5, "zstd": 3.0, "": 1.0}


@dataclass(frozen=True)
class Layer:
    """A layer and the identities it has: blob digest, diffID (its tar), chainID (the file system up to it)."""

    descriptor: Descriptor
    diff_id: str
    chain_id: str

    @property
    def blob(self) -> Blob:
        """The layer's blob as it travels."""
        return Blob(self.descriptor.digest, self.descriptor.size, self.descriptor.media_type)

    @property
    def unpacked(self) -> int:
        """Estimated bytes of the unpacked layer."""
        return int(self.descriptor.size * UNPACKED[media.layer_compression(self.descriptor.media_type)])


@dataclass(frozen=True)
class Target:
    """An image that shall be on a node under ``reference``."""

    reference: Reference
    index: Index | None
    manifest: Manifest
    config: ImageConfig
    pin: bool = False

    @classmethod
    def parse(cls, spec: ImageSpec) -> Target:
        """Check a spec: the reference's grammar, and that its documents name each other by digest and size.

        Raises ReferenceInvalid, ManifestInvalid, LimitExceeded, Unsupported (encrypted layers).
        """
        reference = Reference.parse(spec.reference)
        index, manifest, config = image_documents([(d.media_type, d.data) for d in spec.documents])
        target = cls(reference, index, manifest, config, spec.pin)
        if reference.digest and reference.digest != target.digest:
            raise ManifestInvalid(
                f"The reference {spec.reference} names another digest than the image given for it, {target.digest}.",
                expected=reference.digest,
                found=target.digest,
            )
        for layer in manifest.layers:
            media.layer_compression(layer.media_type)
        return target

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, the base first."""
        chain = chain_ids(self.config.diff_ids)
        return tuple(Layer(*parts) for parts in zip(self.manifest.layers, self.config.diff_ids, chain, strict=True))

    @property
    def descriptor(self) -> Descriptor:
        """What the name will point to: the index, or the manifest itself."""
        return self.index.descriptor if self.index else self.manifest.descriptor

    @property
    def digest(self) -> str:
        """Digest of what the name will point to."""
        return self.descriptor.digest
