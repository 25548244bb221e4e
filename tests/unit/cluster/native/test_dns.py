"""DNS questions on the wire."""

from __future__ import annotations

from limani.cluster.native.dns import query


def test_a_question_is_what_rfc_1035_says() -> None:
    """Header with one question, labels with their lengths, type A, class IN."""
    assert query(0x1234, "a.bc") == bytes.fromhex("1234 0100 0001 0000 0000 0000 0161 026263 00 0001 0001")
    assert query(1, "x.") == query(1, "x")
