"""The planner: who fetches from whom."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limani import wire
from limani.errors import BadInput
from limani.seed.plan import CHAIN_UP_TO, FALLBACKS, NodePlan, enough, node_plan, rate_bytes, spread


def plan(node: str, sizes: dict[str, int], needed: int = 0, free: int = 10**12) -> NodePlan:
    missing = tuple(wire.Blob(digest, size) for digest, size in sizes.items())
    image = wire.ImagePlan("a:1", "absent" if sizes else "present", missing, ())
    return node_plan(node, wire.Plan((image,), needed, (wire.Disk("/", 10**12, free),)))


digests = st.sampled_from([f"sha256:{i:064x}" for i in range(6)])
fleets = st.dictionaries(
    st.integers(0, 40).map(lambda i: f"n{i}"), st.dictionaries(digests, st.integers(1, 100), max_size=5), max_size=30
)


@given(fleets)
def test_every_node_that_lacks_something_gets_one_step(fleet: dict[str, dict[str, int]]) -> None:
    """Nobody is forgotten, nobody who has everything is disturbed, parents are always earlier."""
    plans = [plan(node, sizes) for node, sizes in fleet.items()]
    steps = spread(plans, {})
    assert sorted(step.node for step in steps) == sorted(p.node for p in plans if p.missing)
    earlier: set[str] = set()
    for step in steps:
        assert set(step.parents) <= earlier
        assert len(step.parents) <= FALLBACKS
        earlier.add(step.node)
    if steps:
        assert steps[0].parents == ()
        assert all(steps[0].node in step.parents for step in steps[1:]), "everyone can turn to the first node at last"


@given(fleets, st.dictionaries(st.integers(0, 40).map(lambda i: f"n{i}"), st.frozensets(digests), max_size=10))
def test_holders_are_named_only_for_what_they_hold(
    fleet: dict[str, dict[str, int]], holds: dict[str, frozenset[str]]
) -> None:
    """A node is never sent to a holder for a blob the holder lacks or the node has, and never to itself."""
    plans = {node: plan(node, sizes) for node, sizes in fleet.items()}
    for step in spread(list(plans.values()), holds):
        for node, only in step.holders.items():
            assert node != step.node
            assert only
            assert set(only) <= holds[node] & plans[step.node].missing.keys()


def test_small_fleets_are_chains_and_large_ones_trees() -> None:
    """Up to CHAIN_UP_TO nodes every node serves one; beyond, at most two, and the depth stays logarithmic."""
    for count, most in ((CHAIN_UP_TO, 1), (200, 2)):
        steps = spread([plan(f"n{i:03}", {"sha256:" + "0" * 64: 5}) for i in range(count)], {})
        served: dict[str, int] = {}
        depth = {}
        for step in steps:
            depth[step.node] = 1 + depth[step.parents[0]] if step.parents else 0
            for parent in step.parents[:1]:
                served[parent] = served.get(parent, 0) + 1
        assert max(served.values()) == most
        assert max(depth.values()) == (count - 1 if most == 1 else int(math.log2(count)))


def test_star_serves_every_node_from_the_controller() -> None:
    """The benchmarks' baseline names no peers."""
    steps = spread([plan(f"n{i}", {"sha256:" + "0" * 64: 5}) for i in range(3)], {}, "star")
    assert [step.parents for step in steps] == [(), (), ()]


def test_a_blob_two_images_share_counts_once() -> None:
    """Bytes of a node are those of different blobs."""
    blob = wire.Blob("sha256:" + "0" * 64, 7)
    images = tuple(wire.ImagePlan(name, "absent", (blob,), ()) for name in ("a:1", "b:1"))
    assert node_plan("n", wire.Plan(images, 0, ())).bytes == 7


@pytest.mark.parametrize(("needed", "free", "short"), [(100, 99, True), (100, 100, False), (0, 0, False)])
def test_shortage(needed: int, free: int, short: bool) -> None:
    """A node is short of disk only when what it needs does not fit what is free."""
    assert (plan("n", {"sha256:" + "0" * 64: 5}, needed, free).shortage() is not None) is short


def test_a_node_that_needs_no_bytes_is_never_short() -> None:
    """A full disk is no reason to refuse a name."""
    assert plan("n", {}, 0, 0).shortage() is None


@given(st.integers(0, 10_000), st.integers(0, 100))
def test_percentages_round_up(total: int, percent: int) -> None:
    """min_success in percent is the exact fraction, rounded up (no binary float surprise)."""
    assert enough(f"{percent}%", total) == math.ceil(Fraction(total * percent, 100))


@pytest.mark.parametrize(("text", "total", "want"), [(None, 3, 3), ("", 3, 3), ("2", 3, 2), (0, 3, 0), ("95%", 20, 19)])
def test_enough(text: str | int | None, total: int, want: int) -> None:
    """All by default, a number, or a percentage."""
    assert enough(text, total) == want


@pytest.mark.parametrize("text", ["4", "-1", "101%", "x", "5 %%", "1.5", "nan%"])
def test_enough_refuses(text: str) -> None:
    """What cannot be meant is refused with the value named."""
    with pytest.raises(BadInput, match="min_success"):
        enough(text, 3)


@pytest.mark.parametrize(
    ("text", "want"),
    [(None, 0), ("", 0), ("50M", 50_000_000), ("1Ki", 1024), ("1.5MB", 1_500_000), (7, 7), ("2g", 2 * 10**9)],
)
def test_rate(text: str | int | None, want: int) -> None:
    """Decimal and binary units, bytes by default."""
    assert rate_bytes(text) == want


@pytest.mark.parametrize("text", ["fast", "-1", "1T", "M", "inf", "nan"])
def test_rate_refuses(text: str) -> None:
    """A rate that is no number is refused with the value named."""
    with pytest.raises(BadInput, match="rate"):
        rate_bytes(text)
