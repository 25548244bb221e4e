"""What nodes hold, side by side."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Sequence
from typing import Any

import msgspec

from limani import wire
from limani.errors import LimaniError, ReferenceInvalid, SomeNodesFailed
from limani.fleet.agent import AgentClient
from limani.fleet.fleet import Fleet
from limani.image.reference import Reference
from limani.seed.plan import enough


async def inventory(fleet: Fleet, *, engine: str, wanted: Sequence[str], min_success: str | int) -> dict[str, Any]:
    """Per node its runtime, disks and images; per image the nodes that hold it.

    ``wanted``: references or shell patterns to look for; empty means all. Raises SomeNodesFailed with the same keys.
    """

    async def look(agent: AgentClient) -> tuple[wire.Status, wire.Inventory]:
        return await asyncio.gather(agent.status(), agent.images(engine))

    patterns = [canonical(pattern) for pattern in wanted]
    nodes: dict[str, dict[str, Any]] = {}
    for name, answer in (await fleet.each(look)).items():
        if isinstance(answer, LimaniError):
            nodes[name] = {"failed": True, "reason": answer.message, "error": answer.to_dict(), "images": []}
            continue
        status, held = answer
        runtime = next((e for e in status.engines if e.name == engine), status.engine)
        nodes[name] = {
            "failed": False,
            "reason": "",
            "platform": status.platform,
            "engine": msgspec.to_builtins(runtime),
            "disks": msgspec.to_builtins(status.disks),
            "images": [msgspec.to_builtins(image) for image in held.images if _fits(image, patterns)],
        }
    failed = sum(node["failed"] for node in nodes.values())
    summary = {"nodes": len(nodes), "ok": len(nodes) - failed, "failed": failed}
    result: dict[str, Any] = {"nodes": dict(sorted(nodes.items())), "images": by_reference(nodes), "summary": summary}
    if len(nodes) - failed < enough(min_success, len(nodes)):
        raise SomeNodesFailed(f"{failed} of {len(nodes)} nodes did not answer.", **result)
    return result


def canonical(pattern: str) -> str:
    """The full form of a reference; a shell pattern stays as it is."""
    try:
        return str(Reference.parse(pattern))
    except ReferenceInvalid:
        return pattern


def _fits(image: wire.StoredImage, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for name in image.references for pattern in patterns)


def by_reference(nodes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """``[{reference, digests, size, nodes}]``, sorted; containerd's own ``sha256:`` records are left out."""
    found: dict[str, dict[str, Any]] = {}
    for node, result in sorted(nodes.items()):
        for image in result["images"]:
            for name in image["references"]:
                if name.startswith("sha256:"):
                    continue
                entry = found.setdefault(name, {"reference": name, "digests": [], "size": image["size"], "nodes": []})
                digest = image["digest"] or image["config_digest"]
                if digest not in entry["digests"]:
                    entry["digests"].append(digest)
                entry["nodes"].append(node)
    return [found[name] for name in sorted(found)]
