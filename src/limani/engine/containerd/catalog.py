"""containerd's image names: list, set, remove, pin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp

from limani.engine.containerd._pb import images_pb2 as pb
from limani.engine.containerd._pb import types_pb2
from limani.engine.containerd.rpc import is_status
from limani.engine.containerd.usage import users
from limani.engine.target import Target
from limani.errors import ImageInUse, ImageNotFound, LimaniError, RuntimeFailed
from limani.image.manifest import MAX_DOCUMENT, ImageConfig, Index, Manifest, parse_document
from limani.image.platform import Platform
from limani.wire import StoredImage

if TYPE_CHECKING:
    from limani.engine.containerd.engine import Containerd

IMAGES = "/containerd.services.images.v1.Images/"
MANAGED = "io.cri-containerd.image"
PINNED = "io.cri-containerd.pinned"
_ID = "sha256:"
"""The CRI keeps a name ``sha256:<configuration digest>`` for every image."""


@dataclass(frozen=True)
class Facts:
    """What the documents of an image say; they never change."""

    config_digest: str = ""
    size: int = 0
    platform: str = ""
    created: str = ""


class Catalog:
    """The image records of one containerd namespace."""

    def __init__(self, engine: Containerd) -> None:
        self._rpc, self._content = engine.rpc, engine.content
        self._facts: dict[str, Facts] = {}
        self._changing = asyncio.Lock()

    async def get(self, name: str) -> pb.Image | None:
        """The record of a name."""
        answer = await self._rpc.maybe(IMAGES + "Get", pb.GetImageRequest(name=name), pb.GetImageResponse)
        return None if answer is None else answer.image

    async def _all(self, filters: Iterable[str] = ()) -> list[pb.Image]:
        """All records, or those that pass one of the filters (containerd's documentation, filters)."""
        request = pb.ListImagesRequest(filters=filters)
        return list((await self._rpc.call(IMAGES + "List", request, pb.ListImagesResponse)).images)

    async def name(self, target: Target) -> bool:
        """Let the target's names point to it; returns whether a name or its pin changed."""
        reference = target.reference
        tag = f"{reference.name}:{reference.tag}" if reference.tag else ""
        names = [f"{reference.name}@{target.digest}", *([tag] if tag else [])]
        descriptor = types_pb2.Descriptor(
            media_type=target.descriptor.media_type, digest=target.digest, size=target.descriptor.size
        )
        async with self._changing:
            there = {image.name: image for image in await self._all(f'name=="{name}"' for name in names)}
            replaced = there.get(tag)
            if replaced is not None and replaced.target.digest != target.digest:
                await self._unpin(f"{reference.name}@{replaced.target.digest}")
            return any([await self._point(name, there.get(name), descriptor, target.pin) for name in names])

    async def _point(self, name: str, before: pb.Image | None, target: types_pb2.Descriptor, pin: bool) -> bool:
        labels = dict(before.labels) if before else {}
        wanted = labels | {MANAGED: "managed"} | ({PINNED: "pinned"} if pin else {})
        if before and before.target.digest == target.digest and labels == wanted:
            return False
        image = pb.Image(name=name, labels=wanted, target=target)
        try:
            await self._write(image, exists=before is not None)
        except RuntimeFailed as error:
            # Somebody else has made or removed it meanwhile.
            if not is_status(error, grpc.StatusCode.ALREADY_EXISTS if before is None else grpc.StatusCode.NOT_FOUND):
                raise
            await self._write(image, exists=before is None)
        return before is None or before.target.digest != target.digest or labels.get(PINNED) != wanted.get(PINNED)

    async def _write(self, image: pb.Image, *, exists: bool) -> None:
        if exists:
            await self._rpc.call(IMAGES + "Update", pb.UpdateImageRequest(image=image), pb.UpdateImageResponse)
        else:
            await self._rpc.call(IMAGES + "Create", pb.CreateImageRequest(image=image), pb.CreateImageResponse)

    async def _unpin(self, name: str) -> None:
        """The image that loses its tag shall not stay pinned by its name with a digest."""
        old = await self.get(name)
        if old is not None and PINNED in old.labels:
            await self._label(old, pinned=False)

    async def _label(self, image: pb.Image, *, pinned: bool) -> None:
        labels = {key: value for key, value in image.labels.items() if key != PINNED}
        labels |= {PINNED: "pinned"} if pinned else {}
        await self._write(pb.Image(name=image.name, labels=labels, target=image.target), exists=True)

    async def pin(self, reference: str, pinned: bool) -> bool:
        """See ``Engine.pin``."""
        async with self._changing:
            images = await self._all()
            record = next((image for image in images if image.name == reference), None)
            if record is None:
                raise ImageNotFound(f"containerd has no image {reference}.", reference=reference)
            changed = False
            for image in (record, *_companions(record, images)):
                if (PINNED in image.labels) != pinned:
                    await self._label(image, pinned=pinned)
                    changed = True
            return changed

    async def remove(self, reference: str, *, force: bool) -> bool:
        """See ``Engine.remove``."""
        async with self._changing:
            images = await self._all()
            record = next((image for image in images if image.name == reference), None)
            if record is None:
                return False
            same = [image for image in images if image.target.digest == record.target.digest]
            going = [record, *_companions(record, same)]
            left = [image for image in same if image not in going and not image.name.startswith(_ID)]
            if not left:
                going = same
            if not force:
                await self._refuse_in_use(reference, going if left else same)
            # The name asked for goes last: a run that is interrupted before leaves it to be asked for again.
            going.sort(key=lambda image: (image.name == reference, image.name))
            for image in going:
                request = pb.DeleteImageRequest(name=image.name, sync=image.name == reference)
                await self._rpc.maybe(IMAGES + "Delete", request, Empty)
            return True

    async def _refuse_in_use(self, reference: str, going: Iterable[pb.Image]) -> None:
        used = await users(self._rpc)
        names = sorted({user for image in going for user in used.get(image.name, ())})
        if names:
            raise ImageInUse(
                f"{reference} is used by {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}.",
                reference=reference,
                used_by=names,
            )

    async def images(self) -> list[StoredImage]:
        """See ``Engine.images``."""
        groups: dict[str, list[pb.Image]] = {}
        for image in await self._all():
            groups.setdefault(image.target.digest, []).append(image)
        used = await users(self._rpc)
        found = [await self._stored(digest, group, used) for digest, group in groups.items()]
        self._facts = {digest: facts for digest, facts in self._facts.items() if digest in groups}
        return sorted(found, key=lambda image: (image.references or ("~",), image.digest))

    async def _stored(self, digest: str, group: list[pb.Image], used: dict[str, tuple[str, ...]]) -> StoredImage:
        facts = self._facts.get(digest)
        if facts is None:
            facts = await self._read_facts(digest)
            if facts.config_digest:
                self._facts[digest] = facts
        return StoredImage(
            digest=digest,
            config_digest=facts.config_digest,
            references=tuple(sorted(image.name for image in group if not image.name.startswith(_ID))),
            size=facts.size,
            platform=facts.platform,
            created=facts.created,
            stored=min(_rfc3339(image.created_at) for image in group),
            pinned=any(image.labels.get(PINNED) == "pinned" for image in group),
            used_by=tuple(sorted({user for image in group for user in used.get(image.name, ())})),
        )

    async def _read_facts(self, digest: str) -> Facts:
        """Read the documents; an image whose documents are missing or damaged is still listed, without them."""
        try:
            raw = await self._content.read_all(digest, MAX_DOCUMENT)
            document = parse_document(raw) if raw is not None else None
            manifest = await self._manifest(document) if isinstance(document, Index) else document
            if manifest is None:
                return Facts()
            raw = await self._content.read_all(manifest.config.digest, MAX_DOCUMENT)
            config = ImageConfig.parse(raw) if raw is not None else None
        except LimaniError:
            return Facts()
        size = len(manifest.raw) + manifest.config.size + sum(layer.size for layer in manifest.layers)
        if config is None:
            return Facts(manifest.config.digest, size)
        return Facts(manifest.config.digest, size, str(config.platform), config.created)

    async def _manifest(self, index: Index) -> Manifest | None:
        """The manifest of an index that is on this node, the node's own platform first."""
        host = Platform.host()
        entries = sorted(index.images(), key=lambda entry: entry.platform != host)
        for entry in entries:
            raw = await self._content.read_all(entry.digest, MAX_DOCUMENT)
            if raw is not None:
                return Manifest.parse(raw)
        return None


def _companions(record: pb.Image, images: Iterable[pb.Image]) -> list[pb.Image]:
    """``repository@digest`` beside the last ``repository:tag`` that points to the same: it came with the tag."""
    repository, _, _ = record.name.partition("@")
    if repository == record.name and not record.name.startswith(_ID):
        repository = record.name.rpartition(":")[0]
    same = [image for image in images if image.target.digest == record.target.digest and image.name != record.name]
    if any(image.name.rpartition(":")[0] == repository and "@" not in image.name for image in same):
        return []
    return [image for image in same if image.name == f"{repository}@{record.target.digest}"]


def _rfc3339(stamp: Timestamp) -> str:
    return datetime.fromtimestamp(stamp.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
