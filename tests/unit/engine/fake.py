"""An engine in memory: the same promises as the real ones (the conformance suite holds it to them)."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal

from limani.engine.base import Arriving, ImportSession
from limani.engine.target import Layer, Target
from limani.errors import BlobUnknown, DigestMismatch, ImageInUse, ImageNotFound, RuntimeUnavailable, Unsupported
from limani.image import digest as digests
from limani.image import media
from limani.wire import Disk, Document, EngineStatus, ImagePlan, StoredImage


class FakeEngine:
    """Images, blobs and unpacked chains in dictionaries. ``calls`` notes every use, ``down`` makes them fail."""

    def __init__(self, *, keeps_blobs: bool = True, pins: bool = True, free: int = 1 << 40) -> None:
        self.name: Literal["containerd", "docker"] = "containerd"
        self.keeps_blobs, self.pins, self.free = keeps_blobs, pins, free
        self.names: dict[str, Target] = {}
        self.pinned: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        self.chains: set[str] = set()
        self.used: dict[str, tuple[str, ...]] = {}
        self.calls: list[str] = []
        self.down = False
        self.sessions = 0
        self.gate: asyncio.Event | None = None  # ``put_blob`` waits for it
        self.put_begun = asyncio.Event()

    def _use(self, what: str) -> None:
        self.calls.append(what)
        if self.down:
            raise RuntimeUnavailable("The fake engine is down.")

    async def status(self) -> EngineStatus:
        self.calls.append("status")
        return EngineStatus(self.name, "1.0", ok=not self.down, pin=self.pins)

    async def disks(self) -> tuple[Disk, ...]:
        return (Disk("/", 1 << 40, self.free),)

    async def images(self) -> list[StoredImage]:
        self._use("images")
        found = []
        for digest in sorted({target.digest for target in self.names.values()}):
            names = tuple(sorted(name for name, target in self.names.items() if target.digest == digest))
            target = self.names[names[0]]
            found.append(
                StoredImage(
                    digest=digest,
                    config_digest=target.config.digest,
                    references=names,
                    size=1,
                    platform=str(target.config.platform),
                    created=target.config.created,
                    pinned=any(name in self.pinned for name in names),
                    used_by=tuple(user for name in names for user in self.used.get(name, ())),
                )
            )
        return sorted(found, key=lambda image: image.references)

    def _lacking(self, target: Target) -> tuple[Layer, ...]:
        top = max((n for n, item in enumerate(target.layers, 1) if item.chain_id in self.chains), default=0)
        return tuple(item for item in target.layers[top:] if item.descriptor.digest not in self.blobs)

    async def plan(self, target: Target, *, held: bool = True) -> ImagePlan:
        self._use("plan")
        here = self.names.get(str(target.reference))
        pinned = str(target.reference) in self.pinned
        same = here is not None and here.digest == target.digest and (pinned or not target.pin)
        held = sorted({item.descriptor.digest for item in target.layers} & self.blobs.keys())
        lacking = {item.descriptor.digest: item.blob for item in self._lacking(target)}
        return ImagePlan(
            str(target.reference),
            "present" if same else "differs" if here else "absent",
            tuple(lacking.values()),
            tuple(held),
            here.digest if here else "",
            pinned,
        )

    async def blob_size(self, digest: str) -> int | None:
        self._use("blob_size")
        return len(self.blobs[digest]) if digest in self.blobs else None

    async def read_blob(self, digest: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        self._use("read_blob")
        if digest not in self.blobs:
            raise BlobUnknown("No such blob.", digest=digest)
        yield self.blobs[digest][offset : None if length is None else offset + length]

    async def resolve(self, reference: str) -> Document | None:
        self._use("resolve")
        target = self.names.get(reference)
        if target is None:
            return None
        return Document(target.descriptor.media_type, (target.index or target.manifest).raw)

    def session(self, target: Target) -> AbstractAsyncContextManager[ImportSession]:
        return self._session(target)

    @asynccontextmanager
    async def _session(self, target: Target) -> AsyncIterator[ImportSession]:
        self._use("session")
        if target.pin and not self.pins:
            raise Unsupported("The fake engine cannot pin.")
        self.sessions += 1
        before = dict(self.blobs)
        session = FakeSession(self, target, self._lacking(target))
        try:
            yield session
        finally:
            self.sessions -= 1
            if not session.finished:
                self.blobs = before

    async def remove(self, reference: str, *, force: bool = False) -> bool:
        self._use("remove")
        target = self.names.get(reference)
        if target is None:
            return False
        if self.used.get(reference) and not force:
            raise ImageInUse(f"{reference} is used.", reference=reference)
        del self.names[reference]
        if not any(other.digest == target.digest for other in self.names.values()):
            kept = [item for other in self.names.values() for item in other.layers]
            for item in target.layers:
                if item.chain_id not in {other.chain_id for other in kept}:
                    self.chains.discard(item.chain_id)
                if item.descriptor.digest not in {other.descriptor.digest for other in kept}:
                    self.blobs.pop(item.descriptor.digest, None)
        return True

    async def pin(self, reference: str, pinned: bool) -> bool:
        self._use("pin")
        if reference not in self.names:
            raise ImageNotFound(f"No image {reference}.")
        if pinned and not self.pins:
            raise Unsupported("The fake engine cannot pin.")
        changed = (reference in self.pinned) != pinned
        self.pinned ^= {reference} if changed else set()
        return changed

    async def clean(self) -> None:
        self._use("clean")

    async def close(self) -> None:
        self.calls.append("close")


class FakeSession:
    """One image on its way into a FakeEngine."""

    def __init__(self, engine: FakeEngine, target: Target, lacking: tuple[Layer, ...]) -> None:
        self._engine, self._target, self._lacking = engine, target, lacking
        self._layers: dict[str, bytes] = {}
        self.finished = False

    def lacking(self) -> tuple[Layer, ...]:
        return self._lacking

    async def put_blob(self, layer: Layer, blob: Arriving) -> None:
        self._engine._use("put_blob")
        self._engine.put_begun.set()
        if self._engine.gate is not None:
            await self._engine.gate.wait()
        while not blob.verified:
            await blob.changed()
        data = blob.path.read_bytes()
        assert digests.of(data) == layer.descriptor.digest, "an engine must never be given unverified bytes"
        raw = gzip.decompress(data) if media.layer_compression(layer.descriptor.media_type) else data
        if digests.of(raw) != layer.diff_id:
            raise DigestMismatch("The layer unpacks to something else.", expected=layer.diff_id)
        self._layers[layer.descriptor.digest] = data

    async def finish(self) -> bool:
        self._engine._use("finish")
        for layer in self._lacking:
            if layer.descriptor.digest not in self._layers:
                raise BlobUnknown("A layer was not put.", digest=layer.descriptor.digest)
        if self._engine.keeps_blobs:
            self._engine.blobs |= self._layers
        self._engine.chains |= {layer.chain_id for layer in self._target.layers}
        name = str(self._target.reference)
        here = self._engine.names.get(name)
        self._engine.names[name] = self._target
        pinned = self._target.pin and name not in self._engine.pinned
        self._engine.pinned |= {name} if self._target.pin else set()
        self.finished = True
        return bool(self._layers) or pinned or here is None or here.digest != self._target.digest
