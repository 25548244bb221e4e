"""limani.distribution.ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limani.distribution.ranges import byte_range, content_range
from limani.errors import BadInput, RangeInvalid


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("", None),
        ("bytes=0-0", (0, 1)),
        ("bytes=0-9", (0, 10)),
        ("bytes=5-", (5, 10)),
        ("bytes=5-100", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=x", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
    ],
)
def test_ranges_of_readers(header: str | None, wanted: tuple[int, int] | None) -> None:
    """Ranges of ten bytes, as RFC 9110 reads them."""
    assert byte_range(header, 10) == wanted


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_ranges_behind_the_end(header: str) -> None:
    """A range that begins behind the end cannot be satisfied."""
    with pytest.raises(RangeInvalid):
        byte_range(header, 10)


@pytest.mark.parametrize("header", ["0-4", "bytes 0-4/*", "bytes 0-4/10", "bytes=0-4"])
def test_ranges_of_uploads(header: str) -> None:
    """The specification's form, and the ones clients use instead."""
    found = content_range(header)
    assert found is not None
    assert (found.start, found.length) == (0, 5)


@pytest.mark.parametrize("header", ["", "0", "0-", "-4", "4-0", "a-b", "0-4-8", "0-4/", "-1-4"])
def test_wrong_ranges_of_uploads(header: str) -> None:
    """What does not say where a chunk belongs is refused."""
    with pytest.raises(BadInput):
        content_range(header)


@given(st.text() | st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}"), st.integers(0, 10**12))
def test_parsers_raise_nothing_else(header: str, size: int) -> None:
    """Arbitrary headers give a range within the blob, none, or one of our errors."""
    try:
        found = byte_range(header, size)
        assert found is None or 0 <= found[0] < found[1] <= size
    except RangeInvalid:
        pass
    try:
        upload = content_range(header)
        assert upload is not None
        assert upload.length > 0
    except BadInput:
        pass
