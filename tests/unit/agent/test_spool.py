"""The spool: what is kept, what is verified, what has to go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limani.agent.entry import Entry
from limani.agent.inflow import Inflow
from limani.agent.spool import Spool
from limani.errors import BlobUnknown, DigestMismatch, ManifestInvalid, NotEnoughDisk, RangeInvalid
from limani.image import digest as digests


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool."""
    found = Spool(tmp_path / "spool")
    yield found
    found.close()


async def fill(entry: Entry, data: bytes) -> None:
    await entry.resume()
    await entry.append(data)


async def test_blob_is_verified(spool: Spool) -> None:
    """A complete blob with its digest is verified; a file remains."""
    data = os.urandom(5000)
    entry = spool.open(digests.of(data), len(data))
    await fill(entry, data[:2000])
    assert not entry.verified
    await fill(entry, data[2000:])
    await entry.verify()
    assert entry.verified
    assert entry.path.read_bytes() == data


async def test_damaged_blob_is_thrown_away(spool: Spool) -> None:
    """A complete blob with another digest is emptied and can be received again."""
    data = os.urandom(100)
    entry = spool.open(digests.of(data), len(data))
    await fill(entry, bytes(100))
    with pytest.raises(DigestMismatch) as refused:
        await entry.verify()
    assert refused.value.fields["expected"] == entry.digest
    assert entry.received == 0
    await fill(entry, data)
    await entry.verify()


async def test_more_bytes_than_announced(spool: Spool) -> None:
    """A blob cannot outgrow its size."""
    entry = spool.open(digests.of(b"abc"), 3)
    await fill(entry, b"ab")
    with pytest.raises(RangeInvalid):
        await fill(entry, b"cd")
    assert entry.received == 2


async def test_next_process_resumes(tmp_path: Path) -> None:
    """What an earlier process left is hashed again and counts."""
    data = os.urandom(3000)
    first = Spool(tmp_path)
    await fill(first.open(digests.of(data), len(data)), data[:1234])
    first.close()
    second = Spool(tmp_path)
    entry = second.open(digests.of(data), len(data))
    assert await entry.resume() == 1234
    await entry.append(data[1234:])
    await entry.verify()
    second.close()


async def test_reader_follows_the_writer(spool: Spool) -> None:
    """A reader gets bytes as they come and ends with the last one."""
    data = os.urandom(10_000)
    entry = spool.open(digests.of(data), len(data))
    entry.expected += 1
    got = bytearray()

    async def follow() -> None:
        async for piece in entry.read(10, len(data)):
            got.extend(piece)

    reading = asyncio.create_task(follow())
    for start in range(0, len(data), 1000):
        await fill(entry, data[start : start + 1000])
    await reading
    assert bytes(got) == data[10:]


async def test_reader_of_a_blob_nobody_brings(spool: Spool) -> None:
    """A reader does not wait for bytes nobody will bring."""
    data = os.urandom(100)
    entry = spool.open(digests.of(data), len(data))
    entry.expected += 1
    await fill(entry, data[:60])
    reading = asyncio.create_task(_collect(entry, len(data)))
    await asyncio.sleep(0)
    entry.expected -= 1
    entry.notify()
    assert await reading == data[:60]


async def test_reader_of_a_blob_that_proves_damaged(spool: Spool) -> None:
    """A reader never gets bytes of two different tries of a blob."""
    data = os.urandom(100)
    entry = spool.open(digests.of(data), 200)
    entry.expected += 1
    await fill(entry, data)
    reading = asyncio.create_task(_collect(entry, 200))
    await asyncio.sleep(0.01)
    await entry.reset()
    await fill(entry, os.urandom(200))
    assert await reading == data


async def _collect(entry: Entry, end: int) -> bytes:
    return b"".join([piece async for piece in entry.read(0, end)])


async def test_held_files_stay(spool: Spool) -> None:
    """A file somebody holds is not removed; a file nobody holds is."""
    data = b"x" * 10
    entry = spool.open(digests.of(data), 10)
    await fill(entry, data)
    with spool.hold(entry):
        spool.drop(entry)
        spool.sweep(everything=True)
        assert entry.path.exists()
    spool.sweep(everything=True)
    assert not entry.path.exists()


async def test_file_that_has_served_goes_with_its_last_reader(spool: Spool) -> None:
    """A file nobody needs any more goes when the last who holds it lets go."""
    data = b"x" * 10
    entry = spool.open(digests.of(data), 10)
    await fill(entry, data)
    with spool.hold(entry):
        with spool.hold(entry):
            spool.spend(entry)
        assert entry.path.exists()
    assert spool.get(entry.digest) is None
    assert not entry.path.exists()


async def test_old_files_go(tmp_path: Path) -> None:
    """What was left behind goes after its time to live; what is younger stays."""
    old, young = digests.of(b"old"), digests.of(b"young")
    spool = Spool(tmp_path, ttl_s=3600)
    for digest in (old, young):
        spool.path(digest).write_bytes(b"part")
    os.utime(spool.path(old), (0, 0))
    spool.sweep()
    assert not spool.path(old).exists()
    assert spool.path(young).exists()
    spool.close()


async def test_what_the_engine_has_goes_unless_wanted(spool: Spool) -> None:
    """A blob the engine took goes with the next sweep, unless a grant still names it."""
    data = b"blob"
    entry = spool.open(digests.of(data), 4)
    await fill(entry, data)
    await entry.verify()
    entry.given = True
    spool.sweep(wanted=lambda digest: True)
    assert entry.path.exists()
    spool.sweep()
    assert not entry.path.exists()


async def test_room(tmp_path: Path) -> None:
    """Room is made at the cost of what nobody needs; what does not fit is refused with numbers."""
    spool = Spool(tmp_path, limit=1000)
    (tmp_path / ("0" * 64)).write_bytes(bytes(900))
    spool.reserve(800)
    assert spool.usage() == 0
    entry = spool.open(digests.of(b"x"), 700)
    await fill(entry, bytes(700))
    with spool.hold(entry), pytest.raises(NotEnoughDisk) as refused:
        spool.reserve(400)
    assert refused.value.fields == {"path": str(tmp_path), "needed_bytes": 400, "free_bytes": 300}
    spool.close()


async def test_contradicting_sizes(spool: Spool) -> None:
    """One digest cannot have two sizes while somebody works with one of them."""
    entry = spool.open(digests.of(b"x"), 1)
    with spool.hold(entry), pytest.raises(ManifestInvalid):
        spool.open(entry.digest, 2)


async def test_waiting_for_an_entry(spool: Spool) -> None:
    """A blob that will be expected is waited for; one that never is, for a bounded time."""
    digest = digests.of(b"x")
    waiting = asyncio.create_task(spool.wait_for(digest, 10))
    await asyncio.sleep(0)
    entry = spool.open(digest, 1)
    entry.expected += 1
    spool.announce()
    assert await waiting is entry
    with pytest.raises(BlobUnknown):
        await spool.wait_for(digests.of(b"y"), 0.01)


@settings(max_examples=30, deadline=None)
@given(pieces=st.lists(st.binary(max_size=300_000), max_size=12))
def test_inflow_keeps_every_byte(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    """However a stream is cut into pieces, the file is their concatenation."""

    async def run() -> None:
        data = b"".join(pieces)
        spool = Spool(tmp_path_factory.mktemp("inflow"))
        entry = spool.open(digests.of(data), len(data))
        await entry.resume()
        async with Inflow(entry) as inflow:
            for piece in pieces:
                await inflow.add(piece)
        await entry.verify()
        assert not data or entry.path.read_bytes() == data
        spool.close()

    asyncio.run(run())


async def test_inflow_that_is_cancelled(spool: Spool) -> None:
    """A stream that is cut off leaves a count that matches the file, so it can be gone on with."""
    data = os.urandom(4 << 20)
    entry = spool.open(digests.of(data), len(data))
    begun = asyncio.Event()

    async def receive() -> None:
        async with Inflow(entry) as inflow:
            for start in range(0, len(data), 100_000):
                await inflow.add(data[start : start + 100_000])
                begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(receive())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    there = await entry.resume()
    assert entry.path.read_bytes()[:there] == data[:there]
    await entry.append(data[there:])
    await entry.verify()


async def test_disk_that_is_full(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error with numbers, and what had arrived stays."""
    data = os.urandom(100)
    entry = spool.open(digests.of(data), 100)
    await fill(entry, data[:50])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(NotEnoughDisk) as refused:
        await entry.append(data[50:])
    assert refused.value.fields["needed_bytes"] == 50
    assert entry.received == 50
