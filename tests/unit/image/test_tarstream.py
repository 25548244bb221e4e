"""limani.image.tarstream against the tar files of Python's own module."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limani.errors import ArchiveInvalid, LimaniError
from limani.image.tarstream import Member, TarStream
from limani.image.unpack import Limits

_part = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60).filter(
    lambda text: text not in (".", "..")
)
_name = st.lists(_part, min_size=1, max_size=5).map("/".join)


def walk(data: bytes, *, seekable: bool) -> list[tuple[Member, bytes]]:
    file = io.BytesIO(data)
    stream = TarStream(file, "test", Limits(), file, len(data)) if seekable else TarStream(file, "test", Limits())
    found = []
    while member := stream.next():
        half = stream.read(member.size // 2)
        if member.order % 2:  # some are read to their end, some are left in the middle
            rest = b""
            while piece := stream.read(1000):
                rest += piece
            half += rest
        found.append((member, half))
    return found


@given(
    st.dictionaries(_name, st.binary(max_size=3000), max_size=6),
    st.dictionaries(_part, _name, max_size=3),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    st.booleans(),
)
@settings(deadline=None)
def test_round_trip(files: dict[str, bytes], links: dict[str, str], form: int, seekable: bool) -> None:
    """Names and links of any length and script, and contents, come out as they went in."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        folder = tarfile.TarInfo("folder/")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    found = walk(out.getvalue(), seekable=seekable)
    assert [(m.name, m.kind, m.size) for m, _ in found] == [
        *((name, "file", len(data)) for name, data in files.items()),
        *((name, "link", 0) for name in links),
        ("folder", "other", 0),
    ]
    assert [m.target for m, _ in found if m.kind == "link"] == list(links.values())
    for (member, data), whole in zip(found, files.values(), strict=False):
        assert out.getvalue()[member.offset : member.offset + member.size] == whole
        assert data == (whole if member.order % 2 else whole[: len(whole) // 2])


@given(st.binary(max_size=2000), st.booleans())
def test_arbitrary_bytes(data: bytes, seekable: bool) -> None:
    """Arbitrary bytes are refused."""
    with pytest.raises(LimaniError):
        walk(data, seekable=seekable)


def test_a_block_of_zeros_in_the_middle() -> None:
    """Bytes after a lone empty block are damage, not an end."""
    header = tarfile.TarInfo("x").tobuf()
    with pytest.raises(ArchiveInvalid, match="empty block"):
        walk(header + bytes(512) + header + bytes(1024), seekable=False)
