"""Putting one image into containerd: lease, blobs, snapshots, name.

The order of things follows containerd's documentation of garbage collection (docs/garbage-collection.md): everything
is created under a lease that expires by itself, references are labels, and the name comes last. Every write of metadata
waits for the disk, so what does not depend on a layer is written while the layers arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
from google.protobuf.empty_pb2 import Empty

from limani.engine.containerd._pb import diff_pb2, leases_pb2, snapshots_pb2, types_pb2
from limani.engine.containerd.content import Reader, ShortRead
from limani.engine.containerd.growing import growing
from limani.engine.containerd.rpc import is_status
from limani.engine.target import Layer, Target
from limani.errors import BlobUnknown, DigestMismatch, LimaniError, RuntimeFailed

if TYPE_CHECKING:
    from limani.engine.base import Arriving
    from limani.engine.containerd.engine import Containerd

LEASES = "/containerd.services.leases.v1.Leases/"
SNAPSHOTS = "/containerd.services.snapshots.v1.Snapshots/"
DIFF = "/containerd.services.diff.v1.Diff/Apply"

AGENT_LABEL = "limani.dev/agent"
EXPIRES_S = 12 * 3600
"""A lease nobody drops, because its node died, ends after this time."""
UNPACK_S = 3600.0
CLEAN_S = 30.0


class Session:
    """``engine.base.ImportSession`` for containerd."""

    def __init__(self, engine: Containerd, target: Target, lease: str) -> None:
        self._engine, self._target, self.lease = engine, target, lease
        self._rpc, self._content = engine.rpc, engine.content
        self._stored = {layer.chain_id: asyncio.Event() for layer in target.layers}
        self.unpacking: asyncio.Task[None] | None = None
        self.describing: asyncio.Task[None] | None = None
        self._unpacked = 0  # layers that were there unpacked; the lease holds the highest, and it its parents
        self._keys: set[str] = set()  # extractions that are not committed yet
        self._changed = False
        self._named = False

    async def prepare(self) -> None:
        """Find out what is there, and keep it from being collected meanwhile."""
        layers = self._target.layers
        top = self._unpacked = await self._engine.unpacked(self._target, self.lease)
        for layer in layers[:top]:
            self._stored[layer.chain_id].set()
        found = await self._content.find_all(layer.descriptor.digest for layer in layers[top:])
        for layer in layers[top:]:
            if layer.descriptor.digest in found:
                await self._adopt(layer, found[layer.descriptor.digest][1])
                self._stored[layer.chain_id].set()

    def lacking(self) -> tuple[Layer, ...]:
        """See ``ImportSession``."""
        return tuple(layer for layer in self._target.layers if not self._stored[layer.chain_id].is_set())

    async def _adopt(self, layer: Layer, namespace: str) -> None:
        """Take a blob containerd has into the lease; one of another namespace into ours as well."""
        await self._write(layer, self._engine.content_reader(layer.descriptor.digest, namespace))

    async def put_blob(self, layer: Layer, blob: Arriving) -> None:
        """Store a layer (see ``ImportSession``); it is unpacked as soon as its parents are."""
        arriving = self._engine.arriving
        while arriving.locked() and not blob.verified:
            await blob.changed()
        async with contextlib.nullcontext() if blob.verified else arriving:
            while not await self._put(layer, blob):
                await self._content.abort(self._ref(layer))
        self._changed = True
        self._stored[layer.chain_id].set()

    async def _put(self, layer: Layer, blob: Arriving) -> bool:
        """Write a blob while it arrives; False where what had arrived was thrown away."""
        complete = blob.verified
        try:
            async with growing(blob) as reading:
                await self._write(layer, reading.read)
        except ShortRead:
            if complete:
                raise
            return False
        return True

    def _ref(self, layer: Layer) -> str:
        """The name of a layer's ingest."""
        return f"{self.lease}-{layer.descriptor.digest}"

    async def _write(self, layer: Layer, read: Reader) -> None:
        digest = layer.descriptor.digest
        labels = {"containerd.io/uncompressed": layer.diff_id, **self._engine.source_labels(self._target)}
        ref = self._ref(layer)

        async def step() -> None:
            await self._content.write(ref, digest, layer.descriptor.size, read, lease=self.lease, labels=labels)

        async with self._engine.lock(digest):
            await self._rpc.redo(step)

    async def unpack(self) -> None:
        """Unpack layer after layer as they are stored; runs beside ``put_blob`` as a task of its own."""
        layers, top = self._target.layers, self._unpacked
        parent = layers[top - 1].chain_id if top else ""
        for layer in layers[top:]:
            await self._stored[layer.chain_id].wait()
            async with self._engine.lock(layer.chain_id):
                await self._rpc.redo(lambda layer=layer, parent=parent: self._unpack(layer, parent))  # type: ignore[misc]
            parent = layer.chain_id

    async def _unpack(self, layer: Layer, parent: str) -> None:
        if await self._engine.has_snapshot(layer.chain_id, self.lease):
            return
        self._changed = True
        snapshotter = await self._engine.snapshotter()
        key = f"extract-{secrets.token_hex(6)} {layer.chain_id}"
        labels = {"containerd.io/snapshot.ref": layer.chain_id}
        self._keys.add(key)
        prepared = await self._extraction(
            snapshots_pb2.PrepareSnapshotRequest(snapshotter=snapshotter, key=key, parent=parent, labels=labels)
        )
        descriptor = layer.descriptor
        blob = types_pb2.Descriptor(media_type=descriptor.media_type, digest=descriptor.digest, size=descriptor.size)
        async with self._engine.unpacking:
            applied = await self._rpc.call(
                DIFF,
                diff_pb2.ApplyRequest(diff=blob, mounts=prepared.mounts),
                diff_pb2.ApplyResponse,
                lease=self.lease,
                timeout_s=UNPACK_S,
            )
        if applied.applied.digest != layer.diff_id:
            raise DigestMismatch(
                f"Layer {descriptor.digest} unpacks to {applied.applied.digest}; the image's configuration says "
                f"{layer.diff_id}.",
                expected=layer.diff_id,
                found=applied.applied.digest,
            )
        await self._commit(snapshotter, key, layer.chain_id, labels)

    async def _extraction(self, request: snapshots_pb2.PrepareSnapshotRequest) -> snapshots_pb2.PrepareSnapshotResponse:
        """A new snapshot to unpack into. What a containerd that was killed has left in its way is cleaned up."""
        method, answer = SNAPSHOTS + "Prepare", snapshots_pb2.PrepareSnapshotResponse
        try:
            return await self._rpc.call(method, request, answer, lease=self.lease)
        except RuntimeFailed:
            cleanup = snapshots_pb2.CleanupRequest(snapshotter=request.snapshotter)
            with contextlib.suppress(RuntimeFailed):  # the second try says what is wrong
                await self._rpc.call(SNAPSHOTS + "Cleanup", cleanup, Empty, timeout_s=CLEAN_S)
            return await self._rpc.call(method, request, answer, lease=self.lease)

    async def _commit(self, snapshotter: str, key: str, name: str, labels: dict[str, str]) -> None:
        request = snapshots_pb2.CommitSnapshotRequest(snapshotter=snapshotter, name=name, key=key, labels=labels)
        try:
            await self._rpc.call(SNAPSHOTS + "Commit", request, Empty, lease=self.lease)
        except RuntimeFailed as error:
            # Somebody else (a pull of the kubelet's) has unpacked the same chain meanwhile.
            if not is_status(error, grpc.StatusCode.ALREADY_EXISTS):
                raise
            return
        self._keys.discard(key)

    async def finish(self) -> bool:
        """See ``ImportSession``."""
        for layer in self._target.layers:
            if not self._stored[layer.chain_id].is_set():
                digest = layer.descriptor.digest
                raise BlobUnknown(f"Layer {digest} of {self._target.reference} was not put.", digest=digest)
        assert self.unpacking is not None
        assert self.describing is not None
        await self.unpacking
        await self.describing
        named = await self._rpc.redo(lambda: self._engine.catalog.name(self._target))
        self._named = True
        return named or self._changed

    async def describe(self) -> None:
        """Store the small documents, while the layers are still on their way; a task of its own."""
        await self._rpc.redo(self._documents)

    async def _documents(self) -> None:
        """Store configuration, manifest and index with the labels that say what they refer to, there or not yet."""
        target = self._target
        source = self._engine.source_labels(target)
        snapshotter = await self._engine.snapshotter()
        labels = {}
        if target.layers:
            labels[f"containerd.io/gc.ref.snapshot.{snapshotter}"] = target.layers[-1].chain_id
        await self._document(target.config.digest, target.config.raw, labels, source)
        labels = {f"containerd.io/gc.ref.content.l.{i}": d.digest for i, d in enumerate(target.manifest.layers)}
        labels["containerd.io/gc.ref.content.config"] = target.config.digest
        await self._document(target.manifest.digest, target.manifest.raw, labels, source)
        if target.index:
            labels = {"containerd.io/gc.ref.content.m.0": target.manifest.digest}
            await self._document(target.index.digest, target.index.raw, labels, source)

    async def _document(self, digest: str, data: bytes, labels: dict[str, str], source: dict[str, str]) -> None:
        ref = f"{self.lease}-{digest}"

        def read(offset: int) -> Iterator[bytes]:
            yield data[offset:]

        async with self._engine.lock(digest):
            new = await self._content.write(ref, digest, len(data), read, lease=self.lease, labels=labels | source)
        if not new:  # each change of metadata is a write to disk that others wait for
            await self._content.label(digest, labels)

    async def close(self) -> None:
        """Drop the lease, and with it everything nothing else refers to."""
        snapshotter = await self._engine.snapshotter()
        for key in self._keys:
            request = snapshots_pb2.RemoveSnapshotRequest(snapshotter=snapshotter, key=key)
            await self._rpc.maybe(SNAPSHOTS + "Remove", request, Empty)
        # What has been named is held by its name: there is nothing to collect that anybody should wait for.
        await drop_lease(self._engine, self.lease, failed=not self._named)


@asynccontextmanager
async def open_session(engine: Containerd, target: Target) -> AsyncIterator[Session]:
    """A session whose unpacking runs in the background; see ``Engine.session``."""
    if target.pin:
        await engine.refuse_pin()
    session = Session(engine, target, f"limani-{secrets.token_hex(8)}")
    leasing = asyncio.create_task(_create_lease(engine, session.lease))
    try:
        await asyncio.shield(leasing)
        await session.prepare()
        # An error of the unpacking ends the session's body at once, not only at ``finish``.
        async with asyncio.TaskGroup() as tasks:
            session.unpacking = tasks.create_task(session.unpack())
            session.describing = tasks.create_task(session.describe())
            yield session
            for task in (session.unpacking, session.describing):
                task.cancel()  # left without ``finish``: there is nothing to wait for
    except BaseExceptionGroup as group:
        raise _first(group) from group
    finally:
        await asyncio.shield(_close(session, leasing))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to show of several: one of ours before any other."""
    leaves: list[BaseException] = []
    todo: list[BaseException] = [group]
    while todo:
        error = todo.pop(0)
        todo[:0] = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        leaves += [] if isinstance(error, BaseExceptionGroup) else [error]
    return next((error for error in leaves if isinstance(error, LimaniError)), leaves[0])


async def _close(session: Session, leasing: asyncio.Task[None]) -> None:
    try:
        async with asyncio.timeout(CLEAN_S):
            # A lease still being made when the session is cancelled would outlive its deletion.
            await asyncio.wait([leasing])
            await session.close()
    except (TimeoutError, LimaniError):
        pass  # containerd is away or refuses: the lease expires, or the agent's next start drops it


async def _create_lease(engine: Containerd, lease: str) -> None:
    expire = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + EXPIRES_S))
    labels = {"containerd.io/gc.expire": expire, AGENT_LABEL: engine.owner}
    request = leases_pb2.CreateRequest(id=lease, labels=labels)

    async def create() -> None:
        try:
            await engine.rpc.call(LEASES + "Create", request, leases_pb2.CreateResponse)
        except RuntimeFailed as error:
            # An earlier try got through although its answer did not.
            if not is_status(error, grpc.StatusCode.ALREADY_EXISTS):
                raise

    await engine.rpc.redo(create)


async def drop_lease(engine: Containerd, lease: str, *, failed: bool = True) -> None:
    """Delete a lease; after a failure also its ingests, and wait until what nothing refers to any more is gone."""
    if failed:
        with contextlib.suppress(RuntimeFailed):  # what resists goes with the lease, when containerd next collects
            await engine.content.abort(f"{lease}-")
    request = leases_pb2.DeleteRequest(id=lease, sync=failed)
    await engine.rpc.maybe(LEASES + "Delete", request, Empty, timeout_s=CLEAN_S)


async def drop_leftovers(engine: Containerd) -> int:
    """Drop the leases of a dead predecessor; returns how many."""
    request = leases_pb2.ListRequest(filters=[f'labels."{AGENT_LABEL}"=="{engine.owner}"'])
    answer = await engine.rpc.call(LEASES + "List", request, leases_pb2.ListResponse)
    for lease in answer.leases:
        await drop_lease(engine, lease.id)
    return len(answer.leases)
