"""containerd as an ``Engine``."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Literal
from weakref import WeakValueDictionary

from google.protobuf.empty_pb2 import Empty

from limani.engine.base import ImportSession
from limani.engine.containerd._pb import cri_pb2, leases_pb2, snapshots_pb2, version_pb2
from limani.engine.containerd.catalog import PINNED, Catalog
from limani.engine.containerd.content import Content, Reader
from limani.engine.containerd.rpc import Rpc
from limani.engine.containerd.session import LEASES, SNAPSHOTS, drop_leftovers, open_session
from limani.engine.disks import disks_of
from limani.engine.target import Target
from limani.errors import BlobUnknown, LimaniError, RuntimeFailed, TimedOut, Unsupported
from limani.image.manifest import MAX_DOCUMENT
from limani.wire import Disk, Document, EngineStatus, ImagePlan, StoredImage

CRI_STATUS = "/runtime.v1.RuntimeService/Status"
CRI_DISKS = "/runtime.v1.ImageService/ImageFsInfo"
SNAPSHOTTER_TYPE = "io.containerd.snapshotter.v1"
DEFAULT_SNAPSHOTTER = "overlayfs"
PATIENCE_S = 10.0
"""How long a small request waits for a containerd that restarts; its caller does not wait for ever."""
UNPACKS = 2
"""Layers unpacked at once: each takes a core of containerd's."""
ARRIVING = 3
"""Layers written while they arrive; each holds a thread of ``Content``'s, of which others need some to be read by."""


class Containerd:
    """containerd's image store (see ``engine.base.Engine``).

    ``owner`` marks what this agent creates, so that its successor can clean up; ``disks``: where to look for the file
    systems containerd's folders lie on.
    """

    name: Literal["containerd", "docker"] = "containerd"
    keeps_blobs = True

    def __init__(
        self, address: str, *, owner: str, namespace: str = "k8s.io", disks: tuple[str, ...] = (), snapshotter: str = ""
    ) -> None:
        self.owner = owner
        self.rpc = Rpc(address, namespace)
        self.content = Content(self.rpc)
        self.catalog = Catalog(self)
        self.unpacking, self.arriving = asyncio.Semaphore(UNPACKS), asyncio.Semaphore(ARRIVING)
        self._disks = disks
        self._snapshotter = snapshotter
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, key: str) -> asyncio.Lock:
        """One lock per digest or chain, so that two sessions do not do the same work twice."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

    async def status(self) -> EngineStatus:
        """See ``Engine``."""
        try:
            answer = await self.rpc.call(
                "/containerd.services.version.v1.Version/Version", Empty(), version_pb2.VersionResponse, timeout_s=5
            )
        except LimaniError as error:
            return EngineStatus("containerd", "", ok=False, pin=False, error=error.message)
        version = answer.version.lstrip("v")
        return EngineStatus("containerd", version, ok=True, pin=honours_pin(version))

    async def disks(self) -> tuple[Disk, ...]:
        """See ``Engine``."""
        return await asyncio.to_thread(disks_of, self._disks)

    async def images(self) -> list[StoredImage]:
        """See ``Engine``."""
        return await self.catalog.images()

    async def snapshotter(self) -> str:
        """The snapshotter the CRI unpacks images with; overlayfs where it does not say."""
        if not self._snapshotter:
            self._snapshotter = await self._configured_snapshotter() or DEFAULT_SNAPSHOTTER
        return self._snapshotter

    async def _configured_snapshotter(self) -> str:
        """What the CRI says: containerd 1.x names it in the CRI's configuration, every version shows its folder."""
        try:
            status = await self.rpc.call(CRI_STATUS, cri_pb2.StatusRequest(verbose=True), cri_pb2.StatusResponse)
            config = json.loads(status.info.get("config", "{}"))
            named = str((config.get("containerd") or {}).get("snapshotter") or "")
            if named:
                return named
            info = await self.rpc.call(CRI_DISKS, cri_pb2.ImageFsInfoRequest(), cri_pb2.ImageFsInfoResponse)
        except (RuntimeFailed, TimedOut, ValueError):
            return ""  # no CRI, or one that is not ready
        folders = [disk.fs_id.mountpoint.rpartition(f"/{SNAPSHOTTER_TYPE}.")[2] for disk in info.image_filesystems]
        found = [name for name in folders if re.fullmatch(r"[a-z0-9-]+", name)]
        return found[0] if len(set(found)) == 1 else ""

    async def has_snapshot(self, chain_id: str, lease: str = "") -> bool:
        """Whether a chain is unpacked; with a lease it is kept from being collected."""
        snapshotter = await self.snapshotter()
        request = snapshots_pb2.StatSnapshotRequest(snapshotter=snapshotter, key=chain_id)
        answer = await self.rpc.maybe(SNAPSHOTS + "Stat", request, snapshots_pb2.StatSnapshotResponse)
        if answer is None or not lease:
            return answer is not None
        resource = leases_pb2.Resource(id=chain_id, type=f"snapshots/{snapshotter}")
        add = leases_pb2.AddResourceRequest(id=lease, resource=resource)
        await self.rpc.call(LEASES + "AddResource", add, Empty)
        return await self.has_snapshot(chain_id)  # it may have gone just before it was leased

    async def unpacked(self, target: Target, lease: str = "") -> int:
        """How many layers, from the base up, are unpacked already."""
        layers = target.layers
        for number in range(len(layers), 0, -1):
            if await self.has_snapshot(layers[number - 1].chain_id, lease):
                return number
        return 0

    async def plan(self, target: Target, *, held: bool = True) -> ImagePlan:
        """See ``Engine``."""
        return await self.rpc.redo(lambda: self._plan(target, held), PATIENCE_S)

    async def _plan(self, target: Target, held: bool) -> ImagePlan:
        reference = target.reference
        name = f"{reference.name}:{reference.tag}" if reference.tag else f"{reference.name}@{target.digest}"
        record, unpacked = await asyncio.gather(self.catalog.get(name), self.unpacked(target))
        found = record.target.digest if record else ""
        above = target.layers[unpacked:]
        # One question after the other would cost an image of many layers a round trip each.
        there = await self.content.find_all(layer.descriptor.digest for layer in (target.layers if held else above))
        missing = {layer.descriptor.digest: layer.blob for layer in above if layer.descriptor.digest not in there}
        pinned = record is not None and PINNED in record.labels
        complete = found == target.digest and unpacked == len(target.layers) and (pinned or not target.pin)
        return ImagePlan(
            reference=str(reference),
            state="present" if complete else "differs" if found else "absent",
            missing=tuple(missing.values()),
            held=tuple(sorted(there)),
            found=found,
            pinned=pinned,
        )

    async def blob_size(self, digest: str) -> int | None:
        """See ``Engine``."""
        found = await self.content.find(digest)
        return found[0] if found else None

    async def read_blob(self, digest: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See ``Engine``."""
        found = await self.content.find(digest)
        if found is None:
            raise BlobUnknown(f"containerd has no blob {digest}.", digest=digest)
        async for piece in self.content.read(digest, offset, length, found[1]):
            yield piece

    def content_reader(self, digest: str, namespace: str) -> Reader:
        """A blob of containerd as the source of a write (in a worker thread)."""

        def read(offset: int) -> Iterator[bytes]:
            yield from self.content.pieces(digest, offset, namespace)

        return read

    async def resolve(self, reference: str) -> Document | None:
        """See ``Engine``."""
        record = await self.catalog.get(reference)
        if record is None:
            return None
        data = await self.content.read_all(record.target.digest, MAX_DOCUMENT)
        return None if data is None else Document(record.target.media_type, data)

    def session(self, target: Target) -> AbstractAsyncContextManager[ImportSession]:
        """See ``Engine``."""
        return open_session(self, target)

    async def refuse_pin(self) -> None:
        """Raise Unsupported where the pin label has no effect."""
        status = await self.status()
        if status.ok and not status.pin:
            raise Unsupported(
                f"containerd {status.version} does not honour pinning; 1.6.26, 1.7.11 and newer do.",
                version=status.version,
            )

    def source_labels(self, target: Target) -> dict[str, str]:
        """Where a blob is from, in the words other tools (Spegel, containerd's own pusher) look for."""
        reference = target.reference
        return {f"containerd.io/distribution.source.{reference.registry}": reference.repository}

    async def remove(self, reference: str, *, force: bool = False) -> bool:
        """See ``Engine``."""
        return await self.rpc.redo(lambda: self.catalog.remove(reference, force=force), PATIENCE_S)

    async def pin(self, reference: str, pinned: bool) -> bool:
        """See ``Engine``."""
        if pinned:
            await self.refuse_pin()
        return await self.rpc.redo(lambda: self.catalog.pin(reference, pinned), PATIENCE_S)

    async def clean(self) -> None:
        """See ``Engine``."""
        await self.rpc.redo(lambda: drop_leftovers(self))

    async def close(self) -> None:
        """See ``Engine``."""
        self.rpc.close()
        self.content.close()


def honours_pin(version: str) -> bool:
    """Whether the CRI of this containerd follows the pin label as it changes (since 1.6.26 and 1.7.11)."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if numbers[:2] == (1, 6):
        return numbers >= (1, 6, 26)
    return numbers >= (1, 7, 11)
