"""One seed run: bring images onto this node, from peers where possible, by upload where not.

Blobs move through the spool, several at once; the engine takes each as it arrives, so layers are unpacked while later
ones still come in.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack

from limani import wire
from limani.agent.entry import Entry
from limani.agent.grants import Grants
from limani.agent.peers import Peers
from limani.agent.room import check_room
from limani.agent.spool import Spool
from limani.engine.base import Engine, ImportSession
from limani.engine.target import Layer, Target
from limani.errors import AgentUnreachable, BlobUnknown, DigestMismatch, LimaniError, TimedOut
from limani.pace import Bucket

AT_ONCE = 4
"""Small blobs on their way at the same time."""
LARGE = 4 << 20
"""Larger blobs come one after the other, the base first: it is unpacked while the next one arrives."""
AHEAD = 4 << 20
"""When so much of a blob is left, the next one begins."""
ROUNDS = 2
"""How often every peer is tried for a blob before the caller is asked for it."""
SILENCE_S = 120.0
"""A run whose wanted blobs get no byte for so long has failed."""
PROGRESS_S = 0.5

Emit = Callable[[wire.Event], None]


class Run:
    """A run of one ``SeedRequest``. ``await prepare()`` may refuse it; ``await go()`` does it, telling ``emit``."""

    def __init__(
        self,
        engine: Engine,
        spool: Spool,
        peers: Peers,
        grants: Grants,
        request: wire.SeedRequest,
        emit: Emit,
        arrived: Callable[[str, int], None],
    ) -> None:
        """``arrived(source, bytes)`` is told of all bytes that came, also those of a run that fails."""
        self._arrived = arrived
        self._engine, self._spool, self._peers, self._grants, self._emit = engine, spool, peers, grants, emit
        self._request = request
        self._targets = [Target.parse(spec) for spec in request.images]
        self._plans: list[wire.ImagePlan] = []
        self._bucket = Bucket(request.rate)
        self._small, self._large = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(1)
        self._tasks: asyncio.TaskGroup  # the run's own; exists while ``go`` does
        self._blobs: dict[str, asyncio.Task[tuple[str, int]]] = {}
        self._turns: dict[str, asyncio.Event] = {}  # set when a blob begins to come
        self._users: dict[str, int] = {}  # layers of images not yet named, by digest
        self._told: set[str] = set()
        self._held: dict[str, ExitStack] = {}
        self._heard = time.monotonic()
        self.moved = 0

    async def prepare(self) -> None:
        """Plan, and check the disks. Raises NotEnoughDisk with numbers, RuntimeUnavailable, BadInput."""
        for target in self._targets:
            for layer in target.layers:
                # Held before planning: what another run brings is now either in the engine or still in the spool.
                self._hold(layer.descriptor.digest, layer.descriptor.size)
        self._plans = [await self._engine.plan(target, held=False) for target in self._targets]
        missing = {blob.digest for plan in self._plans for blob in plan.missing}
        for digest in list(self._held):
            if digest not in missing:
                self._release(digest)
        await check_room(self._engine, self._spool, self._targets, self._plans)
        for target, plan in zip(self._targets, self._plans, strict=True):
            for layer in _lacking(target, plan):
                self._users[layer.descriptor.digest] = self._users.get(layer.descriptor.digest, 0) + 1

    def require(self) -> None:
        """Raise BlobUnknown unless everything missing is in the spool: for images whose blobs were pushed before."""
        for plan in self._plans:
            for blob in plan.missing:
                entry = self._spool.get(blob.digest)
                if entry is None or not entry.verified:
                    raise BlobUnknown(
                        f"The image needs the blob {blob.digest}, which was not sent.", digest=blob.digest
                    )

    def _hold(self, digest: str, size: int) -> None:
        if digest in self._held:
            return
        entry = self._spool.open(digest, size)
        entry.spent = False
        self._held[digest] = stack = ExitStack()
        stack.enter_context(self._spool.hold(entry))
        entry.expected += 1
        stack.callback(_unexpect, entry)
        self._spool.announce()

    def _release(self, digest: str) -> None:
        stack = self._held.pop(digest, None)
        if stack is None:
            return
        entry = self._spool.get(digest)
        stack.close()
        # Kept: what the engine has not taken (to resume), and what a peer may want and the engine cannot give it.
        if entry is None or not (entry.given or not entry.received):
            return
        if self._engine.keeps_blobs or not entry.received or not self._grants.names(digest):
            self._spool.spend(entry)

    def close(self) -> None:
        """Let go of the spool's files."""
        for digest in list(self._held):
            self._release(digest)

    async def go(self) -> None:
        """Do it. Raises the LimaniError that stopped it."""
        begun = time.monotonic()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for target, plan in zip(self._targets, self._plans, strict=True):
                    for layer in _lacking(target, plan):
                        self._start(layer)
                for target, plan in zip(self._targets, self._plans, strict=True):
                    tasks.create_task(self._image(target, plan))
        except* LimaniError as group:
            raise _cause(group) from group
        finally:
            self.close()
        self._emit(wire.Finished(self.moved, round(time.monotonic() - begun, 3)))

    # --- images ----------------------------------------------------------------------------------------------------

    async def _image(self, target: Target, plan: wire.ImagePlan) -> None:
        changed = False
        if plan.state != "present":
            async with self._engine.session(target) as session, asyncio.TaskGroup() as tasks:
                lacking = session.lacking()
                self._correct(_lacking(target, plan), lacking)
                finishing = [tasks.create_task(self._layer(session, layer)) for layer in lacking]
                for task in finishing:
                    await task
                changed = await session.finish()
            # Only now: until the image is named, a failure takes back what the engine was given.
            for layer in lacking:
                self._done_with(layer)
        self._emit(
            wire.ImageDone(
                reference=str(target.reference),
                changed=changed,
                digest=target.digest,
                config_digest=target.config.digest,
                pinned=target.pin or plan.pinned,
            )
        )

    def _start(self, layer: Layer) -> None:
        digest = layer.descriptor.digest
        if digest not in self._blobs:
            self._turns[digest] = asyncio.Event()
            self._blobs[digest] = self._tasks.create_task(self._obtain(layer.blob))

    def _correct(self, planned: Sequence[Layer], lacking: Sequence[Layer]) -> None:
        """Follow what the session found: layers may have come (another run) or gone (collected) since the plan."""
        for layer in planned:
            if layer not in lacking:
                self._done_with(layer)
        for layer in lacking:
            if layer not in planned:
                self._hold(layer.descriptor.digest, layer.descriptor.size)
                self._users[layer.descriptor.digest] = self._users.get(layer.descriptor.digest, 0) + 1
                self._start(layer)

    async def _layer(self, session: ImportSession, layer: Layer) -> None:
        digest = layer.descriptor.digest
        await self._turns[digest].wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.put_blob(layer, self._spool.open(digest, layer.descriptor.size)))
            source, moved = await asyncio.shield(self._blobs[digest])
        if digest not in self._told:
            self._told.add(digest)
            self._emit(wire.BlobDone(digest, moved, source))

    def _done_with(self, layer: Layer) -> None:
        """An image has this layer; with the last image that needs it the spool may let it go."""
        digest = layer.descriptor.digest
        self._users[digest] -= 1
        if self._users[digest]:
            return
        entry = self._spool.get(digest)
        if entry is not None:
            entry.given = True
        self._release(digest)

    # --- blobs -----------------------------------------------------------------------------------------------------

    async def _obtain(self, blob: wire.Blob) -> tuple[str, int]:
        """Have a blob verified in the spool; returns where it came from and the bytes that moved for it."""
        entry = self._spool.open(blob.digest, blob.size)
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self._large if blob.size > LARGE else self._small)
            self._turns[blob.digest].set()
            beside = [asyncio.create_task(self._tell(entry)), asyncio.create_task(_yield_turn(entry, turn))]
            try:
                waited = entry.writer.locked()
                async with entry.writer:
                    before = entry.moved
                    try:
                        source = await self._bring(entry)
                    finally:
                        moved = self._count(entry, entry.moved - before)
            finally:
                for task in beside:
                    task.cancel()
        if source == "spool" and moved:
            source = entry.source  # it came in an earlier stream of this run
        return ("store" if waited and source == "spool" else source), moved

    def _count(self, entry: Entry, moved: int) -> int:
        """Count bytes that came, though the run may end here; returns those of all streams of the caller's run."""
        self.moved += moved
        if moved:
            self._arrived(entry.source, moved)
        return entry.count(self._request.run, moved)

    async def _tell(self, entry: Entry) -> None:
        """Report progress, a few times a second at most."""
        told = entry.received
        while True:
            await entry.changed()
            self._heard = time.monotonic()
            if told != entry.received:
                told = entry.received
                self._emit(wire.Progress(entry.digest, told, entry.size, entry.source))
                await asyncio.sleep(PROGRESS_S)

    async def _bring(self, entry: Entry) -> str:
        if entry.verified:
            return "spool"
        if await entry.resume() == entry.size:
            try:
                await entry.verify()
                return "spool"
            except DigestMismatch:
                pass  # left damaged by a crash: fetch it anew
        peers = [peer for peer in self._request.peers if not peer.only or entry.digest in peer.only]
        for _ in range(ROUNDS):
            for peer in list(peers):
                try:
                    entry.source = peer.node
                    await self._peers.fetch(entry, peer, self._bucket)
                    await entry.verify()
                    return peer.node
                except AgentUnreachable:
                    continue  # again in the next round
                except (BlobUnknown, DigestMismatch):
                    peers.remove(peer)
        entry.source = "upload"
        await self._uploaded(entry)
        return "upload"

    async def _uploaded(self, entry: Entry) -> None:
        """Ask the caller for a blob and wait until the upload is verified. Raises what refused it, or TimedOut."""
        entry.open_for_upload(self._bucket)
        self._heard = time.monotonic()
        self._emit(wire.Want(entry.digest, entry.size, entry.received))
        try:
            while not entry.verified:
                if entry.refused is not None:
                    raise entry.refused
                left = self._heard + SILENCE_S - time.monotonic()
                if left <= 0:
                    raise TimedOut(
                        f"No byte of the wanted blob {entry.digest} arrived for {SILENCE_S:.0f} s.", digest=entry.digest
                    )
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(entry.changed(), left)
        finally:
            await entry.close_for_upload()


def _lacking(target: Target, plan: wire.ImagePlan) -> Sequence[Layer]:
    missing = {blob.digest for blob in plan.missing}
    return [layer for layer in target.layers if layer.descriptor.digest in missing]


async def _yield_turn(entry: Entry, turn: AsyncExitStack) -> None:
    """Let the next blob begin a little before this one ends, so that the link never waits for a question."""
    while entry.size - entry.received > AHEAD:
        await entry.changed()
    await turn.aclose()


def _unexpect(entry: Entry) -> None:
    entry.expected -= 1
    entry.notify()


def _cause(group: BaseExceptionGroup[LimaniError]) -> LimaniError:
    """The first error of a group of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, LimaniError)
    return error
