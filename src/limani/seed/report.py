"""Results: one per node, a summary, a diff, and the verdict. JSON types only, keys as ``k8s_node_image`` documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limani.errors import LimaniError, SomeNodesFailed
from limani.seed.plan import enough


@dataclass
class Report:
    """What was found and done. ``nodes``: name -> result; ``images``: what the sources gave, in the order asked."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: list[dict[str, Any]] = field(default_factory=list)
    uploaded: int = 0
    seconds: float = 0.0


def failure(error: LimaniError, images: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The result of a node that failed before anything was done on it."""
    return {
        "changed": False,
        "failed": True,
        "state": "unknown",
        "reason": error.message,
        "bytes": 0,
        "seconds": 0.0,
        "source": "",
        "images": dict(images or {}),
        "error": error.to_dict(),
    }


def spoil(result: dict[str, Any], error: LimaniError | Mapping[str, Any]) -> None:
    """Turn a node's result into a failed one, keeping what was done."""
    data = error.to_dict() if isinstance(error, LimaniError) else dict(error)
    result.update(failed=True, reason=str(data.get("message", "")), error=data)


def verdict(report: Report, min_success: str | int | None) -> dict[str, Any]:
    """The whole result; raises SomeNodesFailed (with the same keys in its fields) if too few nodes succeeded."""
    nodes = {name: _plain(result) for name, result in sorted(report.nodes.items())}
    failed = [name for name, result in nodes.items() if result["failed"]]
    required = enough(min_success, len(nodes))
    result: dict[str, Any] = {
        "changed": any(node["changed"] for node in nodes.values()),
        "images": report.images,
        "nodes": nodes,
        "summary": {
            "nodes": len(nodes),
            "ok": len(nodes) - len(failed),
            "changed": sum(node["changed"] for node in nodes.values()),
            "failed": len(failed),
            "required": required,
            "bytes": sum(node["bytes"] for node in nodes.values()),
            "uploaded": report.uploaded,
            "seconds": round(report.seconds, 3),
        },
        "diff": diff(report.nodes),
    }
    if len(nodes) - len(failed) >= required:
        return result
    reasons = "; ".join(f"{name}: {nodes[name]['reason']}" for name in failed[:3])
    more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    raise SomeNodesFailed(f"{len(failed)} of {len(nodes)} nodes failed ({reasons}{more})", **result)


def _plain(result: dict[str, Any]) -> dict[str, Any]:
    """Without the digests only the diff needs."""
    images = {
        name: {key: value for key, value in image.items() if key != "before"}
        for name, image in sorted(result["images"].items())
    }
    return result | {"images": images}


def diff(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, str | None]]]:
    """``{"before": {node: {reference: digest}}, "after": ...}``: only what changes, sorted; None where there is none.

    A pin that changes shows as `` (pinned)`` behind the digest.
    """
    before: dict[str, dict[str, str | None]] = {}
    after: dict[str, dict[str, str | None]] = {}
    for name, node in sorted(nodes.items()):
        for reference, image in sorted(node["images"].items()):
            if not image["changed"]:
                continue
            old = image.get("before") or {}
            before.setdefault(name, {})[reference] = _shown(old.get("digest"), old.get("pinned"))
            now = image["digest"] if image["state"] == "present" else None
            after.setdefault(name, {})[reference] = _shown(now, image.get("pinned"))
    return {"before": before, "after": after}


def _shown(digest: str | None, pinned: bool | None) -> str | None:
    if not digest:
        return None
    return f"{digest} (pinned)" if pinned else digest
