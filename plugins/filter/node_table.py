# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: node_table
short_description: Show the result of k8s_node_image as a table
version_added: 0.1.0
author:
  - The Limani authors (!UNKNOWN)
description:
  - Makes lines of a table out of what M(limani.nodes.k8s_node_image) returned, one for each image on each node, and one for each
    node that failed.
options:
  _input:
    description:
      - What the module returned, also when it failed.
    type: dict
    required: true
seealso:
  - plugin: limani.nodes.k8s_node_image
    plugin_type: module
"""

EXAMPLES = r"""
- name: Put an image onto all nodes
  limani.nodes.k8s_node_image:
    images: [docker.io/library/nginx:1.27]
  register: seeded

- name: Show what happened where
  ansible.builtin.debug:
    msg: "{{ seeded | limani.nodes.node_table }}"
"""

RETURN = r"""
_value:
  description: The lines, with a headline first. Bytes are those that travelled, in check mode those that would.
  type: list
  elements: str
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HEADLINE = ("NODE", "IMAGE", "STATE", "CHANGED", "BYTES", "SECONDS")
NUMBERS = (4, 5)
"""Columns that stand to the right."""


def node_table(result: Mapping[str, Any]) -> list[str]:
    """The lines of the table; nodes and images in order of their names."""
    rows = [HEADLINE, *(row for name, node in sorted(result.get("nodes", {}).items()) for row in _rows(name, node))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADLINE))]
    lines = []
    for row in rows:
        cells = [cell.rjust(widths[i]) if i in NUMBERS else cell.ljust(widths[i]) for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return lines


def _rows(name: str, node: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    seconds = f"{node['seconds']:.1f}"
    for reference, image in sorted(node["images"].items()):
        changed = "yes" if image["changed"] else "no"
        yield name, reference, image["state"], changed, f"{image['bytes']:,}", seconds
    if node["failed"]:
        yield name, f"FAILED: {node['reason']}", "", "", "", ""


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"node_table": node_table}
