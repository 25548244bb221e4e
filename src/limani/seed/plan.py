"""The plan: who lacks what, and whom each node fetches from. Pure: no network, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from limani import wire
from limani.errors import BadInput

CHAIN_UP_TO = 16
"""So many nodes form one chain (every link carries each byte once); more form a binary tree (depth stays small)."""
FALLBACKS = 4
"""How many ancestors a node may turn to when its parent fails, before it asks the controller."""
HOLDERS = 3
"""How many nodes that already hold a blob are named to one that lacks it."""

Spread = Literal["chain", "star"]


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What one node lacks. ``missing``: digest -> blob. ``images``: as the node answered, in the order asked."""

    node: str
    images: tuple[wire.ImagePlan, ...]
    missing: Mapping[str, wire.Blob]
    needed: int  # disk bytes, unpacked layers included
    disks: tuple[wire.Disk, ...]
    peer: wire.Peer | None = None  # the node as others may fetch from it

    @property
    def bytes(self) -> int:
        """Bytes that have to travel to this node."""
        return sum(blob.size - blob.here for blob in self.missing.values())

    @property
    def changed(self) -> bool:
        """Whether anything would be done: a name to set, a pin to set, a blob to fetch."""
        return any(image.state != "present" for image in self.images)

    def shortage(self) -> wire.Disk | None:
        """The fullest disk if it cannot take what is needed, else None."""
        tight = min(self.disks, key=lambda disk: disk.free, default=None)
        return tight if tight is not None and self.missing and tight.free < self.needed else None


def node_plan(node: str, answer: wire.Plan) -> NodePlan:
    """Sum up an agent's answer; a blob two images share counts once."""
    missing = {blob.digest: blob for image in answer.images for blob in image.missing}
    return NodePlan(node, answer.images, missing, answer.needed, answer.disks, answer.peer)


@dataclass(frozen=True, slots=True)
class Step:
    """One node's part: ``parents`` in the order to try; ``holders``: node -> digests it already has for us."""

    node: str
    parents: tuple[str, ...] = ()
    holders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def spread(plans: Sequence[NodePlan], holds: Mapping[str, frozenset[str]], how: Spread = "chain") -> list[Step]:
    """Order the nodes that lack something and say whom each asks.

    ``holds``: node -> digests it can serve now (the nodes that lack nothing included). ``star``: every node is served
    by the controller alone (the baseline of the benchmarks). Parents always come earlier in the list, so nobody waits
    in a circle; what no node holds enters the cluster once, at the first node.
    """
    order = sorted((plan for plan in plans if plan.missing), key=lambda plan: (plan.bytes, plan.node))
    if how == "star":
        return [Step(plan.node) for plan in order]
    # Who lacks most goes first: what it receives serves all behind it.
    order.reverse()
    names = [plan.node for plan in order]
    arity = 1 if len(names) <= CHAIN_UP_TO else 2
    steps = []
    for index, plan in enumerate(order):
        parents = tuple(names[ancestor] for ancestor in _ancestors(index, arity))
        steps.append(Step(plan.node, parents, _holders(plan, holds, index)))
    return steps


def _ancestors(index: int, arity: int) -> list[int]:
    """Indices of the ancestors of a heap-shaped tree's node, nearest first; the root is always among them."""
    found = []
    while index > 0:
        index = (index - 1) // arity
        found.append(index)
    return found if len(found) <= FALLBACKS else [*found[: FALLBACKS - 1], 0]


def _holders(plan: NodePlan, holds: Mapping[str, frozenset[str]], turn: int) -> dict[str, tuple[str, ...]]:
    """Up to HOLDERS nodes per lacking node, rotated by ``turn`` so that not everybody asks the same one."""
    useful = sorted(node for node in holds if node != plan.node and holds[node] & plan.missing.keys())
    if not useful:
        return {}
    shift = turn % len(useful)
    chosen = (useful[shift:] + useful[:shift])[:HOLDERS]
    return {node: tuple(sorted(holds[node] & plan.missing.keys())) for node in chosen}


def enough(min_success: str | int | None, total: int) -> int:
    """How many of ``total`` nodes must succeed: all by default, a number, or a percentage rounded up.

    Raises BadInput for anything else, and for more nodes than there are.
    """
    if min_success is None or min_success == "":
        return total
    text = str(min_success).strip()
    try:
        if text.endswith("%"):
            share = float(text[:-1])
            if not 0 <= share <= 100:
                raise ValueError(text)
            # 1e-9: 29 % of 100 is 28.999999999999996 in binary.
            return math.ceil(total * share / 100 - 1e-9)
        count = int(text)
    except ValueError as error:
        raise BadInput(f"min_success is {text!r}; it must be a number of nodes or a percentage like 95%.") from error
    if not 0 <= count <= total:
        raise BadInput(f"min_success is {count}, but {total} nodes are chosen.")
    return count


UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def rate_bytes(text: str | int | None) -> int:
    """Bytes per second from "50M" (10^6), "50Mi" (2^20) or a plain number; 0 means no limit. Raises BadInput."""
    value = str(text or "0").strip().lower().removesuffix("b")
    digits = value.rstrip("kmgi")
    factor = UNITS.get(value[len(digits) :])
    try:
        if factor is None or float(digits) < 0 or not math.isfinite(float(digits)):
            raise ValueError(value)
        return int(float(digits) * factor)
    except ValueError as error:
        raise BadInput(f"rate is {text!r}; write bytes per second as 50M, 512k or 1000000.") from error
