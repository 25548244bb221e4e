"""The filter node_table."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("importable")


def node(**more):
    return {"seconds": 1.25, "failed": False, "reason": "", "images": {}} | more


def test_the_table_has_a_line_per_image_and_node_in_columns():
    """Every image of every node has its line, sorted, and a failed node one with the reason."""
    from ansible_collections.limani.nodes.plugins.filter.node_table import node_table

    image = {"changed": True, "state": "present", "bytes": 1234567}
    nodes = {
        "n2": node(failed=True, reason="Node n2 has no agent."),
        "n1": node(images={"b:1": image, "a:1": image | {"changed": False, "bytes": 0}}),
    }
    assert node_table({"nodes": nodes}) == [
        "NODE  IMAGE                          STATE    CHANGED      BYTES  SECONDS",
        "n1    a:1                            present  no               0      1.2",
        "n1    b:1                            present  yes      1,234,567      1.2",
        "n2    FAILED: Node n2 has no agent.",
    ]


def test_without_nodes_only_the_headline_remains():
    """A result of a task that failed before any node was asked makes no error in the report."""
    from ansible_collections.limani.nodes.plugins.filter.node_table import node_table

    assert len(node_table({"failed": True})) == 1
