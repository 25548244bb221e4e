"""How the JSON documents of an image look, and the strict decoding of them.

Wrong types and missing required properties are refused; unknown properties are ignored, as the OCI image
specification demands (considerations.md, section "Extensibility").
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from limani.errors import DigestInvalid, LimitExceeded, ManifestInvalid
from limani.image import digest as digests
from limani.image import media
from limani.image.descriptor import Descriptor
from limani.image.platform import Platform

MAX_DOCUMENT = 4 << 20
"""Largest manifest, index or configuration taken, in bytes: what the distribution specification asks registries to
accept (section "Pushing manifests") and what they commonly refuse to exceed."""

_T = TypeVar("_T")


class WirePlatform(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str | None = None


class WireDescriptor(msgspec.Struct, rename="camel"):
    media_type: str
    digest: str
    size: int
    platform: WirePlatform | None = None
    annotations: dict[str, str] | None = None
    urls: list[str] | None = None


class WireManifest(msgspec.Struct, rename="camel"):
    schema_version: int
    config: WireDescriptor
    layers: list[WireDescriptor]
    media_type: str = ""
    annotations: dict[str, str] | None = None
    manifests: msgspec.Raw = msgspec.Raw()


class WireIndex(msgspec.Struct, rename="camel"):
    schema_version: int
    manifests: list[WireDescriptor]
    media_type: str = ""
    annotations: dict[str, str] | None = None
    layers: msgspec.Raw = msgspec.Raw()
    config: msgspec.Raw = msgspec.Raw()


class WireRootfs(msgspec.Struct):
    diff_ids: list[str]
    type: str = "layers"


class WireConfig(msgspec.Struct):
    rootfs: WireRootfs
    os: str = ""
    architecture: str = ""
    variant: str | None = None
    created: str | None = None


class WireKind(msgspec.Struct, rename="camel"):
    """Just enough to tell an index from a manifest."""

    media_type: str = ""
    manifests: msgspec.Raw = msgspec.Raw()


def decode(raw: bytes, kind: type[_T], what: str) -> _T:
    if len(raw) > MAX_DOCUMENT:
        raise LimitExceeded(
            f"The {what} has {len(raw)} bytes; at most {MAX_DOCUMENT} are taken.", found=len(raw), limit=MAX_DOCUMENT
        )
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestInvalid(f"The {what} cannot be read: {str(error)[:200]}.") from error


def present(value: msgspec.Raw) -> bool:
    """Whether a property that is kept as it came was there at all."""
    return bytes(value) not in (b"", b"null")


def media_type(what: str, version: int, found: str, known: frozenset[str]) -> str:
    if version != 2:
        raise ManifestInvalid(
            f"The {what} has schemaVersion {version}; only 2 is supported.",
            hint="Images of schema version 1 are obsolete: pull and push the image with a current tool.",
        )
    if not found:  # only OCI documents may leave it out
        return media.OCI_INDEX if media.OCI_INDEX in known else media.OCI_MANIFEST
    if found not in known:
        raise ManifestInvalid(f"The media type of the {what} is {found[:120]!r}.", media_type=found[:120])
    return found


def descriptor(wire: WireDescriptor, where: str) -> Descriptor:
    if wire.size < 0:
        raise ManifestInvalid(f"{where}.size is {wire.size}; a size cannot be negative.")
    platform = None
    if wire.platform and (wire.platform.os or wire.platform.architecture):
        platform = Platform.of(wire.platform.os, wire.platform.architecture, wire.platform.variant or "")
    return Descriptor(
        wire.media_type,
        digest(wire.digest, f"{where}.digest"),
        wire.size,
        platform,
        wire.annotations or {},
        tuple(wire.urls or ()),
    )


def digest(text: str, where: str) -> str:
    try:
        return digests.parse(text)
    except DigestInvalid as error:
        raise ManifestInvalid(f"{where}: {error.message}") from error
