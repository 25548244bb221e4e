"""Putting images onto nodes, from the sources to one result per node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limani import wire
from limani.errors import BadInput, LimaniError, NotEnoughDisk
from limani.fleet.fleet import Fleet
from limani.image import digest as digests
from limani.image.manifest import Descriptor
from limani.image.platform import Platform
from limani.image.reference import Reference
from limani.image.source import Source, SourceImage
from limani.kube.nodes import Node, set_labels
from limani.seed.plan import NodePlan, Spread, node_plan, spread
from limani.seed.report import Report, failure, spoil
from limani.seed.run import Cargo, Outcome, Run

LABEL = "image.limani.dev/"
"""Prefix of the opt-in node label; the 12 first hexadecimal digits of the image's digest follow."""


@dataclass(frozen=True)
class Item:
    """One image to put on nodes. ``reference``: its name on the nodes; None keeps the only name the source has.

    ``name_there``: the name it has in the source, where that differs. ``platform``: "" means each node's own.
    """

    source: Source
    reference: Reference | None
    name_there: Reference | None = None
    platform: str = ""


@dataclass(frozen=True)
class Options:
    """How to put images onto nodes; see the module ``k8s_node_image`` for the meaning of each."""

    pin: bool = False
    rate: int = 0
    timeout_s: float = 3600.0
    engine: str = ""
    how: Spread = "chain"
    check: bool = False


Progress = Callable[[str, str, int, int], None]


async def put(fleet: Fleet, items: Sequence[Item], options: Options, on_progress: Progress | None = None) -> Report:
    """Make the nodes hold the images, or predict it (``options.check``).

    Raises errors of the sources (nothing has changed then); everything that concerns a node is in its result.
    """
    report = Report()
    nodes = reachable(fleet, report)
    cargo = await gather(items, nodes, options.pin, report)
    plans = await ask_plans(fleet, cargo, options.engine, report, grant=not options.check and len(nodes) > 1)
    for plan in list(plans.values()):
        error = shortage(plan)
        if error is not None:
            report.nodes[plan.node] = failure(error, unplanned_images(plan, cargo))
            del plans[plan.node]
    if options.check:
        for plan in plans.values():
            report.nodes[plan.node] = predicted(plan, cargo)
    else:
        await _carry_out(fleet, cargo, plans, options, report, on_progress)
    return report


def reachable(fleet: Fleet, report: Report) -> list[Node]:
    """The nodes that have an agent; the others get their failure into the report."""
    nodes = []
    for node in fleet.nodes:
        problem = fleet.problem(node.name)
        if problem is None:
            nodes.append(node)
        else:
            report.nodes[node.name] = failure(problem)
    return nodes


async def gather(items: Sequence[Item], nodes: Sequence[Node], pin: bool, report: Report) -> Cargo:
    """Read the images' documents for every platform the nodes have, and note which source has which blob."""
    specs: dict[str, list[wire.ImageSpec]] = {node.name: [] for node in nodes}
    blobs: dict[str, tuple[Source, Descriptor]] = {}
    for item in items:
        platforms = {node.name: item.platform or node.platform for node in nodes}
        # With no node left to serve, the source is read all the same: a wrong archive must not pass unnoticed.
        for platform in sorted(set(platforms.values()) or {item.platform or str(Platform.host())}):
            image = await item.source.image(item.name_there or item.reference, Platform.parse(platform))
            spec = _spec(item, image, pin)
            report.images.append(_describe(spec, image, platform, item.source.origin))
            for layer in image.manifest.layers:
                blobs.setdefault(layer.digest, (item.source, layer))
            for name in (name for name in specs if platforms[name] == platform):
                specs[name].append(spec)
    return Cargo({name: tuple(list_) for name, list_ in specs.items()}, blobs)


def _spec(item: Item, image: SourceImage, pin: bool) -> wire.ImageSpec:
    reference = item.reference or image.reference
    if reference is None:
        raise BadInput(
            f"The image {image.digest[:19]} in {item.source.origin} has no name.", hint="Give the image a name."
        )
    if reference.digest and reference.digest not in (image.digest, image.manifest.digest):
        text = f"{item.source.origin} has {image.digest} where {reference} was asked."
        raise BadInput(text, hint="Name the digest the source has, or leave the digest out.")
    documents = tuple(wire.Document(kind, data) for kind, data in image.documents())
    return wire.ImageSpec(reference=str(reference), documents=documents, pin=pin)


def _describe(spec: wire.ImageSpec, image: SourceImage, platform: str, origin: str) -> dict[str, Any]:
    return {
        "reference": spec.reference,
        "digest": image.digest,
        "config_digest": image.config.digest,
        "platform": platform,
        "layers": len(image.manifest.layers),
        "size": sum(layer.size for layer in image.manifest.layers),
        "source": origin,
    }


async def ask_plans(fleet: Fleet, cargo: Cargo, engine: str, report: Report, *, grant: bool) -> dict[str, NodePlan]:
    """Ask every node what it lacks; nodes that do not answer get their failure into the report.

    ``grant``: also how the other nodes may fetch from each.
    """
    answers = await fleet.each(
        lambda agent: agent.plan(wire.PlanRequest(images=cargo.specs[agent.node.name], grant=grant, engine=engine)),
        list(cargo.specs),
    )
    plans = {}
    for name, answer in answers.items():
        if isinstance(answer, LimaniError):
            report.nodes[name] = failure(answer)
        else:
            plans[name] = node_plan(name, answer)
    return plans


def shortage(plan: NodePlan) -> NotEnoughDisk | None:
    """The error for a node whose disk cannot take what it lacks."""
    disk = plan.shortage()
    if disk is None:
        return None
    return NotEnoughDisk(
        f"Node {plan.node} needs {plan.needed:,} bytes on {disk.path}, {disk.free:,} are free.",
        node=plan.node,
        path=disk.path,
        needed_bytes=plan.needed,
        free_bytes=disk.free,
    )


async def _carry_out(
    fleet: Fleet,
    cargo: Cargo,
    plans: Mapping[str, NodePlan],
    options: Options,
    report: Report,
    on_progress: Progress | None,
) -> None:
    todo = [plan for plan in plans.values() if plan.changed]
    for plan in plans.values():
        if not plan.changed:
            report.nodes[plan.node] = settled(plan, cargo)
    if not todo:
        return
    holds = {plan.node: frozenset(digest for image in plan.images for digest in image.held) for plan in plans.values()}
    steps = spread(todo, holds, options.how)
    only_names = [plan.node for plan in todo if not plan.missing]
    peers = {plan.node: plan.peer for plan in plans.values() if plan.peer}
    run = Run(fleet, cargo, peers, rate=options.rate, engine=options.engine, how=options.how, on_progress=on_progress)
    await run.go(steps, only_names, options.timeout_s)
    report.uploaded = run.uploaded
    for name, outcome in run.outcomes.items():
        report.nodes[name] = _result(plans[name], cargo, outcome)


def _result(plan: NodePlan, cargo: Cargo, outcome: Outcome) -> dict[str, Any]:
    counted: set[str] = set()
    images = {}
    for spec, before in zip(cargo.specs[plan.node], plan.images, strict=True):
        done = outcome.images.get(spec.reference)
        own = {blob.digest for blob in before.missing} - counted
        counted |= own
        images[spec.reference] = {
            "changed": bool(done and done.changed),
            "state": "present" if done or before.state == "present" else "absent",
            "digest": done.digest if done else before.found,
            "bytes": sum(outcome.moved.get(digest, 0) for digest in own),
            "pinned": done.pinned if done else before.pinned,
            "reason": "" if done or before.state == "present" else "not finished",
            "before": {"digest": before.found, "pinned": before.pinned},
        }
    moved = sum(outcome.moved.values())
    result = {
        "changed": any(image["changed"] for image in images.values()),
        "failed": False,
        "state": "present" if all(image["state"] == "present" for image in images.values()) else "absent",
        "reason": "",
        "bytes": moved,
        "seconds": round(outcome.seconds, 3),
        "source": ",".join(sorted(outcome.sources)) if moved else "",
        "images": images,
    }
    if outcome.error:
        spoil(result, outcome.error)
    return result


def predicted(plan: NodePlan, cargo: Cargo) -> dict[str, Any]:
    """A node's result in check mode: what is missing, and how many bytes would travel."""
    missing = [{"digest": blob.digest, "size": blob.size} for blob in sorted(plan.missing.values(), key=_by_digest)]
    free = min((disk.free for disk in plan.disks), default=0)
    return settled(plan, cargo) | {
        "bytes": plan.bytes,
        "predicted": {"bytes": plan.bytes, "missing": missing, "needed": plan.needed, "free": free},
    }


def _by_digest(blob: wire.Blob) -> str:
    return blob.digest


def settled(plan: NodePlan, cargo: Cargo) -> dict[str, Any]:
    """A node's result from its plan alone: as if everything went well, nothing moved."""
    return {
        "changed": plan.changed,
        "failed": False,
        "state": "present",
        "reason": "",
        "bytes": 0,
        "seconds": 0.0,
        "source": "",
        "images": planned_images(plan, cargo),
    }


def planned_images(plan: NodePlan, cargo: Cargo) -> dict[str, Any]:
    """Per image what will be: digest, pin, and bytes that travel for it (a shared blob counts for the first)."""
    counted: set[str] = set()
    images = {}
    for spec, image in zip(cargo.specs[plan.node], plan.images, strict=True):
        own = [blob for blob in image.missing if blob.digest not in counted]
        counted |= {blob.digest for blob in own}
        images[spec.reference] = {
            "changed": image.state != "present" or (spec.pin and not image.pinned),
            "state": "present",
            "digest": target_digest(spec),
            "bytes": sum(blob.size - blob.here for blob in own),
            "pinned": image.pinned or spec.pin,
            "reason": "",
            "before": {"digest": image.found, "pinned": image.pinned},
        }
    return images


def target_digest(spec: wire.ImageSpec) -> str:
    """The digest an image will have on the node."""
    return digests.of(spec.documents[0].data)


def unplanned_images(plan: NodePlan, cargo: Cargo) -> dict[str, Any]:
    """Per image what is there now, for a node that will not be touched."""
    images = {}
    for spec, image in zip(cargo.specs[plan.node], plan.images, strict=True):
        images[spec.reference] = {
            "changed": False,
            "state": "present" if image.state == "present" else "absent",
            "digest": image.found,
            "bytes": 0,
            "pinned": image.pinned,
            "reason": "not enough disk",
        }
    return images


async def label(fleet: Fleet, report: Report, *, check: bool) -> None:
    """Make the nodes' labels tell what they hold of the report's images: set where present, removed where absent.

    A label that is right already costs nothing; a node whose label cannot be set has failed.
    """

    async def one(node: Node) -> None:
        result = report.nodes.get(node.name, {"images": {}})
        wanted: dict[str, str | None] = {}
        for image in result["images"].values():
            digest = image["digest"] if image["state"] == "present" else (image.get("before") or {}).get("digest")
            if digest:
                wanted[LABEL + digests.hex_part(digest)[:12]] = "present" if image["state"] == "present" else None
        changes = {key: value for key, value in wanted.items() if node.labels.get(key) != value}
        if not changes:
            return
        try:
            if not check:
                await set_labels(fleet.session, node.name, changes)
            result["changed"] = True
        except LimaniError as error:
            spoil(result, error)

    await asyncio.gather(*(one(node) for node in fleet.nodes))
