"""A file that is read while it grows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from limani.engine.containerd import growing as module
from limani.engine.containerd.growing import Growing, growing
from tests.unit.engine.samples import Arrival, arrived

DATA = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 100)


def collect(reading: Growing, offset: int = 0) -> asyncio.Task[list[bytes]]:
    """What is read, in a thread as grpc does."""
    return asyncio.create_task(asyncio.to_thread(lambda: list(reading.read(offset))))


@pytest.mark.parametrize("offset", [0, 250, len(DATA)])
async def test_complete_blob(tmp_path: Path, offset: int) -> None:
    """A blob that is there is read from any offset."""
    path = tmp_path / "blob"
    path.write_bytes(DATA)
    async with growing(arrived(path)) as reading:
        assert b"".join(await collect(reading, offset)) == DATA[offset:]


async def test_last_piece_waits_until_the_blob_is_verified(tmp_path: Path) -> None:
    """Nothing is given out before it is there, and the last piece only after the whole is known to be right."""
    blob = Arrival(tmp_path / "blob", len(DATA))
    async with growing(blob) as reading, asyncio.timeout(30):
        reader = collect(reading)
        for start in range(0, len(DATA), 77):
            blob.add(DATA[start : start + 77])
            await asyncio.sleep(0)
        await asyncio.wait([reader], timeout=0.05)
        assert not reader.done()
        blob.verify()
        assert b"".join(await reader) == DATA


@pytest.mark.parametrize("received", [0, 10, 500, len(DATA)])
async def test_blob_that_is_thrown_away(tmp_path: Path, received: int) -> None:
    """The reading ends early when what had arrived is thrown away, whatever comes afterwards."""
    blob = Arrival(tmp_path / "blob", len(DATA))
    async with growing(blob) as reading, asyncio.timeout(30):
        reader = collect(reading)
        blob.add(b"x" * received)
        blob.rewind()
        blob.add(DATA)
        blob.verify()
        assert len(b"".join(await reader)) < len(DATA)


async def test_reader_ends_with_the_block(tmp_path: Path) -> None:
    """Nobody waits for bytes after the block has been left."""
    blob = Arrival(tmp_path / "blob", len(DATA))
    async with growing(blob) as reading:
        reader = collect(reading)
        blob.add(DATA[:300])
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        assert len(b"".join(await reader)) <= 300
