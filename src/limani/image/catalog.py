"""What images an archive holds: OCI image layouts and what ``docker save`` and ``podman save`` write.

OCI image layout: image specification v1.1, image-layout.md, with the annotations Docker and containerd name images
by. docker-archive: the ``manifest.json`` of Docker's image tarballs (moby, image/spec). An archive that is both
(Docker 25 and later) is read as OCI, so that every digest stays what it is at its source.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from limani.errors import (
    ArchiveInvalid,
    DigestMismatch,
    ImageNotFound,
    LimitExceeded,
    ManifestInvalid,
    PlatformMissing,
    ReferenceInvalid,
)
from limani.image import digest as digests
from limani.image import media
from limani.image.descriptor import Descriptor
from limani.image.manifest import ImageConfig, Index, Manifest, check_config, parse_document
from limani.image.members import Members, missing
from limani.image.platform import Platform
from limani.image.reference import Reference
from limani.image.source import SourceImage

_SHOWN = 20


@dataclass(frozen=True)
class Entry:
    """One image of an archive. ``target``: what its names point to; ``number``: its place in the archive."""

    references: tuple[Reference, ...]
    target: Descriptor
    number: int


class Catalog(Protocol):
    """The images of an archive. Everything here blocks."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The images, in the archive's order."""

    def load(self, entry: Entry, reference: Reference | None, platform: Platform) -> SourceImage:
        """Read and check the documents of an image."""

    def member(self, digest: str) -> str | None:
        """The file that holds a blob, None if there is none."""


def read_catalog(members: Members, origin: str) -> Catalog:
    """Find out what an archive is; raises ArchiveInvalid, LimitExceeded, ManifestInvalid, DigestMismatch."""
    if members.size("index.json") is not None:
        return OciCatalog(members, origin)
    if members.size("manifest.json") is not None:
        return DockerCatalog(members, origin)
    raise ArchiveInvalid(
        f"The {origin} holds no image: it has neither index.json (OCI image layout) nor manifest.json (docker save)."
    )


def find(catalog: Catalog, reference: Reference | None, platform: Platform, origin: str) -> SourceImage:
    """The image of that name, or the only one; raises ImageNotFound naming what there is, PlatformMissing."""
    found = [entry for entry in catalog.entries if reference is None or _answers(entry, reference)]
    if reference is None and len({entry.references or entry.number for entry in found}) > 1:
        raise ImageNotFound(
            f"The {origin} holds several images, name one of them: {_names(catalog)}.",
            hint="Name one of the images listed.",
            found=_names(catalog, 1000).split(", "),
        )
    if not found:
        what = f"does not hold {reference.familiar()}" if reference else "holds no image"
        raise ImageNotFound(
            f"The {origin} {what}; it holds {_names(catalog)}.", found=_names(catalog, 1000).split(", ")
        )
    name = reference or min(found[0].references, default=None)
    missed: PlatformMissing | None = None
    ranked: list[tuple[int, int, SourceImage]] = []
    for number, entry in enumerate(found):  # several only where a name stands for several platforms without an index
        try:
            image = catalog.load(entry, name, platform)
        except PlatformMissing as error:
            missed = error
        else:
            ranked.append((platform.runs(image.config.platform) or 0, number, image))
    if not ranked:
        assert missed is not None
        raise missed
    return min(ranked, key=lambda item: item[:2])[2]


def _answers(entry: Entry, wanted: Reference) -> bool:
    if wanted.digest:
        return entry.target.digest == wanted.digest
    return any((name.name, name.tag) == (wanted.name, wanted.tag) for name in entry.references)


def _names(catalog: Catalog, limit: int = _SHOWN) -> str:
    names = sorted({name.familiar() for entry in catalog.entries for name in entry.references})
    names += [f"an image without a name ({entry.target.digest})" for entry in catalog.entries if not entry.references]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) + more) or "nothing"


def _check_platform(config: ImageConfig, platform: Platform, origin: str) -> None:
    """An image without an architecture (very old ones) runs anywhere, for all that is known."""
    if config.platform.architecture and platform.runs(config.platform) is None:
        raise PlatformMissing(
            f"The image in the {origin} is for {config.platform}, not for {platform}.",
            platform=str(platform),
            found=[str(config.platform)],
        )


class OciCatalog:
    """An OCI image layout."""

    def __init__(self, members: Members, origin: str) -> None:
        self._members, self._origin = members, origin
        try:
            index = Index.parse(members.document("index.json"))
        except ManifestInvalid as error:
            raise ArchiveInvalid(
                f"index.json in the {origin} is not valid: {error.message}", member="index.json"
            ) from error
        self.entries = self._entries(index)

    def member(self, digest: str) -> str | None:
        name = _blob(digest)
        return name if self._members.size(name) is not None else None

    def load(self, entry: Entry, reference: Reference | None, platform: Platform) -> SourceImage:
        target = parse_document(self._document(entry.target))
        if target.media_type != entry.target.media_type:
            raise ManifestInvalid(
                f"{_blob(entry.target.digest)} in the {self._origin} is {target.media_type!r}, not"
                f" {entry.target.media_type[:120]!r} as index.json says."
            )
        index = target if isinstance(target, Index) else None
        manifest = target if isinstance(target, Manifest) else Manifest.parse(self._choose(target, platform))
        config = check_config(manifest, self._document(manifest.config))
        if index is None:
            _check_platform(config, platform, self._origin)
        for layer in manifest.layers:
            media.layer_compression(layer.media_type)
            self._check_size(layer)
        return SourceImage(reference, index, manifest, config)

    def _choose(self, index: Index, platform: Platform) -> bytes:
        if not index.images() and any(d.media_type in media.INDEXES for d in index.manifests):
            raise LimitExceeded(
                f"The {self._origin} nests image indexes: {index.digest} points to indexes only; one level is taken.",
                hint="Save the image itself, not an index of indexes.",
            )
        # Docker's containerd store exports the whole index, but only the platforms that were pulled.
        return self._document(index.select(platform, lambda entry: self.member(entry.digest) is not None))

    def _entries(self, index: Index) -> list[Entry]:
        found: dict[str, Entry] = {}
        for number, target in enumerate(index.manifests):
            if target.is_attestation or target.media_type not in media.INDEXES | media.MANIFESTS:
                continue
            name = self._name(target)
            known = found.get(target.digest, Entry((), target, number))
            names = {*known.references, *([name] if name else [])}
            found[target.digest] = Entry(tuple(sorted(names, key=str)), known.target, known.number)
        return list(found.values())

    def _name(self, target: Descriptor) -> Reference | None:
        """The full name, as Docker and containerd note it, or as skopeo and podman do; a mere tag is no name."""
        text = target.annotations.get("io.containerd.image.name")
        if text is None:
            text = target.annotations.get("org.opencontainers.image.ref.name", "")
            if not any(letter in text for letter in "/:@"):
                return None
        return _reference(text, "index.json", self._origin)

    def _document(self, descriptor: Descriptor) -> bytes:
        self._check_size(descriptor)
        raw = self._members.document(_blob(descriptor.digest))
        if digests.of(raw) != descriptor.digest:
            raise DigestMismatch(
                f"{_blob(descriptor.digest)} in the {self._origin} has the digest {digests.of(raw)}.",
                expected=descriptor.digest,
                found=digests.of(raw),
            )
        return raw

    def _check_size(self, descriptor: Descriptor) -> None:
        name = _blob(descriptor.digest)
        size = self._members.size(name)
        if size is None:
            raise missing(self._origin, name)
        if size != descriptor.size:
            raise ArchiveInvalid(
                f"{name} in the {self._origin} has {size} bytes; what refers to it says {descriptor.size}.", member=name
            )


class _DockerImage(msgspec.Struct):
    """An element of manifest.json."""

    config: str = msgspec.field(name="Config")
    layers: list[str] | None = msgspec.field(name="Layers", default=None)
    repo_tags: list[str] | None = msgspec.field(name="RepoTags", default=None)


class DockerCatalog:
    """What ``docker save`` writes (before version 25), and podman and others after it.

    Such an archive has no manifest. The one made here depends on nothing but the archive's content: layers as they
    are in the file, so the digest of an unpacked layer is its diffID, and the image ID is the one Docker shows.
    """

    def __init__(self, members: Members, origin: str) -> None:
        self._members, self._origin = members, origin
        self._blobs: dict[str, str] = {}
        try:
            images = msgspec.json.decode(members.document("manifest.json"), type=list[_DockerImage])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            why = str(error)[:200]
            raise ArchiveInvalid(
                f"manifest.json in the {origin} is not valid: {why}.", member="manifest.json"
            ) from error
        self._images = images
        self.entries = [self._entry(number, image) for number, image in enumerate(images)]

    def member(self, digest: str) -> str | None:
        return self._blobs.get(digest)

    def load(self, entry: Entry, reference: Reference | None, platform: Platform) -> SourceImage:
        image = self._images[entry.number]
        config = self._config(image)
        _check_platform(config, platform, self._origin)
        layers = image.layers or []
        if len(layers) != len(config.diff_ids):
            raise ArchiveInvalid(
                f"manifest.json in the {self._origin} lists {len(layers)} layers, the configuration"
                f" {image.config[:200]!r} has {len(config.diff_ids)} diff_ids.",
                member=image.config[:200],
            )
        described = [self._layer(name, diff_id) for name, diff_id in zip(layers, config.diff_ids, strict=True)]
        self._blobs.setdefault(config.digest, image.config)
        manifest = {
            "schemaVersion": 2,
            "mediaType": media.OCI_MANIFEST,
            "config": Descriptor(media.OCI_CONFIG, config.digest, len(config.raw)).to_json(),
            "layers": [layer.to_json() for layer in described],
        }
        raw = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
        return SourceImage(reference, None, Manifest.parse(raw), config)

    def _entry(self, number: int, image: _DockerImage) -> Entry:
        names = {_reference(text, "manifest.json", self._origin) for text in image.repo_tags or []}
        config = self._config(image)
        return Entry(
            tuple(sorted(names, key=str)), Descriptor(media.OCI_CONFIG, config.digest, len(config.raw)), number
        )

    def _config(self, image: _DockerImage) -> ImageConfig:
        raw = self._members.document(image.config)
        try:
            return ImageConfig.parse(raw)
        except ManifestInvalid as error:
            raise ManifestInvalid(f"{image.config[:200]!r} in the {self._origin}: {error.message}") from error

    def _layer(self, name: str, diff_id: str) -> Descriptor:
        size = self._members.size(name)
        if size is None:
            raise missing(self._origin, name)
        compression = self._members.compression(name)
        digest = self._members.sha256(name) if compression else diff_id
        self._blobs.setdefault(digest, name)
        return Descriptor(media.layer_type(compression), digest, size)


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digests.hex_part(digest)}"


def _reference(text: str, member: str, origin: str) -> Reference:
    try:
        return Reference.parse(text)
    except ReferenceInvalid as error:
        raise ArchiveInvalid(
            f"{member} in the {origin} names an image wrongly: {error.message}", member=member
        ) from error
