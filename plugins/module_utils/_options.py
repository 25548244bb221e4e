# Copyright (c) The Limani authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PRIVATE: may change at any time. Options that several modules share; the doc fragments describe the same ones."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.basic import env_fallback


def cluster() -> dict[str, Any]:
    """How to reach the cluster and its agents (doc fragment ``_cluster``)."""
    return {
        "kubeconfig": {"type": "path", "fallback": (env_fallback, ["K8S_AUTH_KUBECONFIG"])},
        "context": {"type": "str", "fallback": (env_fallback, ["K8S_AUTH_CONTEXT"])},
        "namespace": {"type": "str", "default": "limani-system"},
    }


def nodes() -> dict[str, Any]:
    """Which nodes (doc fragment ``_cluster.nodes``)."""
    return {
        "nodes": {"type": "list", "elements": "str"},
        "node_selector": {"type": "str"},
    }


NODES_RULES = {"mutually_exclusive": [("nodes", "node_selector")]}


def absolute(params: dict[str, Any], *names: str) -> None:
    """Make the paths among the parameters absolute, for the library runs with no idea of the caller's directory."""
    for name in names:
        if params.get(name):
            params[name] = os.path.abspath(params[name])


def finish(params: dict[str, Any]) -> None:
    """What most modules have to do with their validated parameters."""
    absolute(params, "kubeconfig", "archive", "binaries")
