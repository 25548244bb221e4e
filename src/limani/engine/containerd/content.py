"""containerd's content store: look up, read, write with resume, label."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from limani.engine.containerd._pb import content_pb2 as pb
from limani.engine.containerd._pb import namespaces_pb2
from limani.engine.containerd.rpc import Rpc, translate
from limani.errors import BlobUnknown, RuntimeFailed

CHUNK = 256 << 10
"""Bytes per message: larger ones gain 10 % and cost tens of MiB of memory."""
THREADS = 6
ABORTS = 6
NAMESPACES_S = 10.0
"""How long the list of namespaces is believed: a blob of one that is new would only be sent once more."""

_CONTENT = "/containerd.services.content.v1.Content/"
_WRITE = _CONTENT + "Write"
_NAMESPACES = "/containerd.services.namespaces.v1.Namespaces/List"

Reader = Callable[[int], Iterator[bytes]]
"""Yields a blob's bytes from an offset on; called in a worker thread."""


class ShortRead(RuntimeFailed):
    """The reader had fewer bytes than the blob: nothing was stored, and the ingest is to be dropped."""


class Content:
    """Blobs of one containerd."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="content")
        self._known: tuple[str, ...] = ()
        self._others_until = 0.0

    def close(self) -> None:
        """Stop the worker threads (calls under way have been cancelled by closing the channel)."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def size(self, digest: str, namespace: str | None = None) -> int | None:
        """Size of a blob of a namespace (None: our own), None if it is not there."""
        answer = await self._rpc.maybe(
            _CONTENT + "Info", pb.InfoRequest(digest=digest), pb.InfoResponse, namespace=namespace
        )
        return None if answer is None else int(answer.info.size)

    async def find(self, digest: str) -> tuple[int, str] | None:
        """Size and namespace of a blob, our own namespace first; None if no namespace has it."""
        own = await self.size(digest)
        if own is not None:
            return own, self._rpc.namespace
        for name in await self._others():
            size = await self.size(digest, name)
            if size is not None:
                return size, name
        return None

    async def _others(self) -> tuple[str, ...]:
        """The other namespaces, as they were at most NAMESPACES_S ago."""
        now = time.monotonic()
        if now >= self._others_until:
            answer = await self._rpc.call(
                _NAMESPACES, namespaces_pb2.ListNamespacesRequest(), namespaces_pb2.ListNamespacesResponse
            )
            self._known = tuple(item.name for item in answer.namespaces if item.name != self._rpc.namespace)
            self._others_until = now + NAMESPACES_S
        return self._known

    async def find_all(self, digests: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Those of several blobs that are there, all asked for at once; see ``find``."""
        wanted = tuple(dict.fromkeys(digests))
        places = await asyncio.gather(*(self.find(digest) for digest in wanted))
        return {digest: place for digest, place in zip(wanted, places, strict=True) if place}

    async def read(
        self, digest: str, offset: int = 0, length: int | None = None, namespace: str | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes of a blob in pieces of about 1 MiB. Raises BlobUnknown, RuntimeUnavailable."""
        loop = asyncio.get_running_loop()
        request = pb.ReadContentRequest(digest=digest, offset=offset, size=length or 0)
        if length == 0:
            return
        call = self._rpc.stream(_CONTENT + "Read", request, pb.ReadContentResponse, namespace=namespace)
        try:
            while (piece := await loop.run_in_executor(self._pool, _next, call)) is not None:
                yield piece.data
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise BlobUnknown(f"containerd has no blob {digest}.", digest=digest) from error
            raise translate(error, "Content/Read") from error
        finally:
            call.cancel()

    def pieces(self, digest: str, offset: int, namespace: str) -> Iterator[bytes]:
        """``read`` for a worker thread."""
        request = pb.ReadContentRequest(digest=digest, offset=offset)
        method = _CONTENT + "Read"
        try:
            for piece in self._rpc.stream(method, request, pb.ReadContentResponse, namespace=namespace):
                yield piece.data
        except grpc.RpcError as error:
            raise translate(error, method) from error

    async def read_all(self, digest: str, limit: int) -> bytes | None:
        """A small blob, None if it is not there or larger than ``limit`` bytes."""
        size = await self.size(digest)
        if size is None or size > limit:
            return None
        return b"".join([piece async for piece in self.read(digest)])

    async def write(
        self, ref: str, digest: str, size: int, read: Reader, *, lease: str, labels: Mapping[str, str]
    ) -> bool:
        """Store a blob with its labels; containerd checks size and digest. False if it was there, with its own labels.

        Goes on where an ingest of the same ``ref`` stopped; a blob that is already there (or, with containerd's
        default policy, in another namespace) is taken into the lease without a byte being sent. Raises ShortRead.
        """
        loop = asyncio.get_running_loop()
        offsets: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        requests = _requests(offsets, ref, digest, size, read, dict(labels))
        stop = threading.Event()
        sent = itertools.takewhile(lambda _: not stop.is_set(), requests)
        call = self._rpc.duplex(_WRITE, sent, pb.WriteContentRequest, pb.WriteContentResponse, lease=lease)
        work = loop.run_in_executor(self._pool, _follow, call, stop, offsets)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.cancel()
            stop.set()
            offsets.put(None)
            call.cancel()
            # The caller may remove what ``read`` reads from, so the thread must have left it.
            await asyncio.wait([work])
            if not work.cancelled():
                work.exception()
            raise

    async def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """Set labels of a blob, leaving its others as they are."""
        if labels:
            request = pb.UpdateRequest(info=pb.Info(digest=digest, labels=dict(labels)))
            request.update_mask.paths.extend(f"labels.{key}" for key in labels)
            await self._rpc.call(_CONTENT + "Update", request, pb.UpdateResponse)

    async def abort(self, prefix: str) -> None:
        """Drop ingests whose ref starts with ``prefix``."""
        answer = await self._rpc.call(_CONTENT + "ListStatuses", pb.ListStatusesRequest(), pb.ListStatusesResponse)
        for status in answer.statuses:
            if status.ref.startswith(prefix):
                await self._abort(status.ref)

    async def _abort(self, ref: str) -> None:
        """Drop an ingest. A write that was cancelled may still be ending in containerd, which announces nothing."""
        for attempt in range(ABORTS):
            try:
                await self._rpc.maybe(_CONTENT + "Abort", pb.AbortRequest(ref=ref), Empty)
                return
            except RuntimeFailed:
                if attempt + 1 == ABORTS:
                    raise
            await asyncio.sleep(0.05 * 2**attempt)


def _next(call: Any) -> Any:
    return next(call, None)


def _follow(call: Any, stop: threading.Event, offsets: queue.SimpleQueue[int | None]) -> bool:
    """The answers to a write, in a worker thread; False if the blob was there. Raises ShortRead."""
    last = None
    try:
        for answer in call:
            if stop.is_set():
                return False
            last = answer.action
            if last == pb.STAT:
                offsets.put(answer.offset)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
            raise translate(error, _WRITE) from error
        return False
    else:
        if last != pb.COMMIT:
            raise ShortRead("A blob that was to be stored in containerd ended early.")
        return True
    finally:
        offsets.put(None)  # lets the sender's thread end whatever happened
        call.cancel()


def _requests(
    offsets: queue.SimpleQueue[int | None], ref: str, digest: str, size: int, read: Reader, labels: dict[str, str]
) -> Iterator[pb.WriteContentRequest]:
    """Ask where the ingest stands, send the rest, commit (runs in a thread of grpc)."""
    yield pb.WriteContentRequest(action=pb.STAT, ref=ref, total=size, expected=digest)
    offset = offsets.get()
    if offset is None:
        return
    # An ingest that holds other bytes than ours cannot happen: the ref names the digest and the session.
    for data in read(offset) if offset < size else ():
        yield pb.WriteContentRequest(action=pb.WRITE, offset=offset, data=data)
        offset += len(data)
    if offset < size:
        return  # the reader had no more
    yield pb.WriteContentRequest(action=pb.COMMIT, total=size, offset=offset, expected=digest, labels=labels)
