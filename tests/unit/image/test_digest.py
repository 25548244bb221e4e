"""limani.image.digest."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limani.errors import DigestInvalid
from limani.image import digest


@given(st.binary())
def test_of_is_sha256_and_parses(data: bytes) -> None:
    """The digest of bytes is their sha256 and is itself valid."""
    found = digest.of(data)
    assert found == "sha256:" + hashlib.sha256(data).hexdigest()
    assert digest.parse(found) == found
    assert digest.hex_part(found) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha512:" + "a" * 128,
        "a" * 64,
        "sha256:" + "a" * 64 + "\n",
        " sha256:" + "a" * 64,
        "sha256:../../../../etc/passwd",
    ],
)
def test_wrong_digests_are_refused(text: str) -> None:
    """Anything but sha256 and 64 lowercase hexadecimal digits is refused."""
    with pytest.raises(DigestInvalid):
        digest.parse(text)


@given(st.text())
def test_parse_raises_nothing_else(text: str) -> None:
    """Arbitrary text gives a digest or DigestInvalid."""
    with contextlib.suppress(DigestInvalid):
        assert digest.parse(text) == text
