"""limani.image.zstd."""

import contextlib
import io

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from limani.image.zstd import ZstdStream

SKIPPABLE = (0x184D2A55).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"12345"


def unpack(data: bytes, size: int) -> bytes:
    stream = ZstdStream(io.BytesIO(data))
    pieces = []
    while piece := stream.read(size):
        assert len(piece) <= size or size < 0
        pieces.append(piece)
    return b"".join(pieces)


_frames = st.lists(
    st.tuples(st.binary() | st.builds(lambda piece, n: piece * n, st.binary(max_size=50), st.integers(0, 20_000)))
)


@given(_frames, st.booleans(), st.booleans(), st.sampled_from([-1, 1, 19]), st.integers(1, 300_000))
def test_round_trip(frames: list[tuple[bytes]], checksum: bool, sized: bool, level: int, size: int) -> None:
    """Frames of all kinds, one after the other, with skippable ones between them, unpack to what was packed."""
    packer = zstandard.ZstdCompressor(level=level, write_checksum=checksum, write_content_size=sized)
    packed = SKIPPABLE + b"".join(packer.compress(data) + SKIPPABLE for (data,) in frames)
    whole = b"".join(data for (data,) in frames)
    assert unpack(packed, max(size, len(whole) // 50)) == whole


@given(st.binary(min_size=1, max_size=5000), st.data())
def test_cuts(data: bytes, draw: st.DataObject) -> None:
    """A stream that ends anywhere but after a frame is not whole."""
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(data)
    cut = draw.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(EOFError):
        unpack(packed[:cut], 1000)


@given(st.binary())
def test_arbitrary_bytes(data: bytes) -> None:
    """Arbitrary bytes behind a frame's first four give data, EOFError or ZstdError."""
    with contextlib.suppress(EOFError, zstandard.ZstdError):
        unpack(b"\x28\xb5\x2f\xfd" + data, 1 << 20)


def test_blocks_come_one_at_a_time() -> None:
    """However small the packed bytes, no more than a block is unpacked at once."""
    packed = zstandard.ZstdCompressor().compress(bytes(1 << 28))
    assert len(packed) < 20_000
    stream = ZstdStream(io.BytesIO(packed))
    first = stream.read(-1)
    assert 0 < len(first) <= 128 << 10
