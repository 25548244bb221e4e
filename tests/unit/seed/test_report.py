"""The verdict never hides a failure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limani.errors import AgentMissing, SomeNodesFailed
from limani.seed.report import Report, diff, failure, verdict

IMAGE = {"changed": True, "state": "present", "digest": "sha256:1", "bytes": 5, "pinned": False, "reason": ""}


def good(**image: Any) -> dict[str, Any]:
    images = {"a:1": IMAGE | image}
    return {
        "changed": True,
        "failed": False,
        "reason": "",
        "bytes": 5,
        "seconds": 1.0,
        "source": "upload",
        "images": images,
    }


def test_one_failed_node_fails_the_task() -> None:
    """By default every node must succeed; the error carries what the good nodes did."""
    report = Report({"n1": good(), "n2": failure(AgentMissing("Node n2 has no agent.", node="n2"))})
    with pytest.raises(SomeNodesFailed, match="n2: Node n2 has no agent") as caught:
        verdict(report, None)
    assert caught.value.fields["nodes"]["n1"]["changed"]
    assert caught.value.fields["summary"] == {
        "nodes": 2, "ok": 1, "changed": 1, "failed": 1, "required": 2, "bytes": 5, "uploaded": 0, "seconds": 0.0,
    }  # fmt: skip


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 12))
def test_success_needs_as_many_nodes_as_asked(ok: int, bad: int, required: int) -> None:
    """The verdict is a success exactly when enough nodes succeeded."""
    nodes = {f"g{i}": good() for i in range(ok)} | {f"b{i}": failure(AgentMissing("x")) for i in range(bad)}
    if required > ok + bad:
        return
    try:
        result = verdict(Report(nodes), required)
    except SomeNodesFailed:
        assert ok < required
    else:
        assert ok >= required
        assert result["summary"]["failed"] == bad


def test_diff_shows_only_what_changes() -> None:
    """Before and after per node and reference; nothing for what stays."""
    nodes = {
        "n1": good(before={"digest": "sha256:0", "pinned": False}, pinned=True),
        "n2": good(changed=False),
        "n3": good(state="absent", digest="", before={"digest": "sha256:0"}),
    }
    assert diff(nodes) == {
        "before": {"n1": {"a:1": "sha256:0"}, "n3": {"a:1": "sha256:0"}},
        "after": {"n1": {"a:1": "sha256:1 (pinned)"}, "n3": {"a:1": None}},
    }
