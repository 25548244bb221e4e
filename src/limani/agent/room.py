"""Whether the images fit: disk space needed, per file system, before the first byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limani.agent.spool import Spool
from limani.engine.base import Engine
from limani.engine.disks import disks_of
from limani.engine.target import Target
from limani.errors import NotEnoughDisk
from limani.wire import Disk, ImagePlan


@dataclass(frozen=True)
class Need:
    """Bytes that will be written. ``spool``: blobs on their way; ``store``: kept blobs, estimated unpacked layers."""

    spool: int
    store: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.spool + self.store


def needed(engine: Engine, targets: Sequence[Target], plans: Sequence[ImagePlan]) -> Need:
    """What the missing blobs of some images take; a blob or layer two images share counts once."""
    blobs: dict[str, int] = {}
    chains: dict[str, int] = {}
    for target, plan in zip(targets, plans, strict=True):
        missing = {blob.digest: blob.size for blob in plan.missing}
        blobs |= missing
        chains |= {layer.chain_id: layer.unpacked for layer in target.layers if layer.descriptor.digest in missing}
    size = sum(blobs.values())
    return Need(spool=size, store=sum(chains.values()) + (size if engine.keeps_blobs else 0))


async def check_room(engine: Engine, spool: Spool, targets: Sequence[Target], plans: Sequence[ImagePlan]) -> None:
    """Raise NotEnoughDisk with numbers if the disks cannot take what is missing."""
    need = needed(engine, targets, plans)
    if not need.spool:
        return
    already = sum(spool.known(blob.digest) for plan in plans for blob in plan.missing)
    spool.reserve(max(0, need.spool - already))
    spool_device = spool.root.stat().st_dev
    for disk in await engine.disks():
        wanted = need.store
        if Path(disk.path).stat().st_dev == spool_device:
            wanted += max(0, need.spool - already)
        if disk.free < wanted:
            raise NotEnoughDisk(
                f"{disk.path} has {disk.free} bytes free; the images need {wanted} there (unpacked layers included).",
                path=disk.path,
                needed_bytes=wanted,
                free_bytes=disk.free,
            )


async def disks(engine: Engine, spool: Spool, need: Need) -> tuple[Disk, ...]:
    """The file systems to compare ``need.total`` with: the store's; the spool's too if it is too small for its part."""
    found = await engine.disks()
    own = disks_of([str(spool.root)])
    return found if found and own and own[0].free >= need.spool else (*found, *own)
