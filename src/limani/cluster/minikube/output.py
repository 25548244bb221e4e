"""What minikube prints, as data. Only JSON is read; its exit codes say the rest (seen on minikube 1.38.1).

``status -l cluster -o json`` tells best how a cluster is; ``profile list`` said OK with the kubelet stopped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from limani.errors import CommandFailed

MISSING_PROFILE = 85
"""Exit code of ``status`` for a profile that does not exist; CloudEvents lines stand on its output then."""
START_CODES = {
    14: ("minikube refuses these options.", "Its own words are in the message; leave the option out."),
    40: (
        "minikube could not look up whether the version of Kubernetes exists.",
        "Check the network; a version newer than this minikube knows needs a newer minikube.",
    ),
    56: ("minikube does not support this combination of options.", "Leave one of the options out."),
    63: ("minikube says Docker does not run.", "Start it (sudo systemctl start docker), then run again."),
    65: ("minikube's driver is not there.", "Start Docker, or check that minikube start --driver=docker works."),
    80: (
        "minikube could not start the node.",
        "minikube logs -p NAME tells more; minikube delete -p NAME clears it away.",
    ),
    106: ("This version of Kubernetes is too old for minikube.", "Ask for a newer one, or install an older minikube."),
}
"""What exit codes of ``start`` mean, and the next step."""


@dataclass(frozen=True)
class NodeState:
    """A node. ``codes``: HTTP-like code by component (``kubelet``, on the control plane ``apiserver``)."""

    name: str
    code: int
    codes: dict[str, int]

    @property
    def state(self) -> str:
        """``up``, ``paused`` or ``down``."""
        if self.codes.get("apiserver") == 418 or self.code == 418:
            return "paused"
        return "up" if self.code == 200 else "down"

    @property
    def ready(self) -> bool:
        """Whether the node and all its components are well."""
        return self.code == 200 and all(code == 200 for code in self.codes.values())


@dataclass(frozen=True)
class ClusterState:
    """A cluster as ``status -l cluster`` tells it. ``code``: 200 well, 405 stopped, 418 paused."""

    name: str
    code: int
    nodes: tuple[NodeState, ...]


def cluster_state(output: str) -> ClusterState | None:
    """The answer of ``status -l cluster -o json``; None for ``null`` (the node's container is gone).

    Raises :class:`CommandFailed` for anything else.
    """
    try:
        document = json.loads(output)
        if document is None:
            return None
        nodes = tuple(_node(item) for item in document["Nodes"] or [])
        return ClusterState(str(document["Name"]), int(document["StatusCode"]), nodes)
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable("status -l cluster -o json", output) from error


def _node(item: dict[str, Any]) -> NodeState:
    components = item.get("Components") or {}
    codes = {str(name): int(entry["StatusCode"]) for name, entry in components.items()}
    return NodeState(str(item["Name"]), int(item["StatusCode"]), codes)


def profiles(output: str) -> dict[str, dict[str, Any]]:
    """Every profile's configuration by name, from ``profile list -o json``; broken profiles have an empty one."""
    try:
        document = json.loads(output)
        found = [*(document.get("valid") or []), *(document.get("invalid") or [])]
        return {str(item["Name"]): dict(item.get("Config") or {}) for item in found}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable("profile list -o json", output) from error


def nodes(output: str) -> dict[str, str]:
    """Address by name, from ``node list`` (lines of NAME, a tab, ADDRESS; it has no JSON)."""
    rows = (line.split("\t") for line in output.splitlines() if "\t" in line)
    return {row[0].strip(): row[1].strip() for row in rows}


def events(output: str) -> list[dict[str, Any]]:
    """The CloudEvents among the lines of ``start -o json`` and ``delete -o json``; other lines are skipped."""
    found = []
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "specversion" in event and isinstance(event.get("data"), dict):
            found.append(event)
    return found


def message(output: str) -> str:
    """The last error among the CloudEvents, else the last message, for people to read."""
    found = events(output)
    errors = [event for event in found if str(event.get("type", "")).endswith(".error")]
    return str((errors or found or [{"data": {}}])[-1]["data"].get("message", "")).strip()


def _unreadable(what: str, output: str) -> CommandFailed:
    return CommandFailed(
        f"minikube {what} did not print what it does in the versions known: {output.strip()[:300]!r}",
        hint="Is it a newer minikube? 1.38.1 is the version this was written for.",
        arguments=["minikube", *what.split()],
    )
