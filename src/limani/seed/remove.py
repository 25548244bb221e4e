"""Taking images off nodes, by name or by policy, and pinning."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from limani import wire
from limani.errors import BadInput, ImageInUse, ImageNotFound, LimaniError, ReferenceInvalid
from limani.fleet.agent import AgentClient
from limani.fleet.fleet import Fleet
from limani.image.reference import Reference
from limani.seed.job import reachable
from limani.seed.report import Report, failure, spoil

ALWAYS_KEPT = ("*/pause", "limani.dev/agent")
"""Names (without tag) a policy never removes: the sandbox image of the kubelet and the agent's own."""


@dataclass(frozen=True)
class Policy:
    """What ``prune`` may remove: everything that fits all conditions given, except what is always kept.

    ``keep``: leave the newest N images of every repository. ``older_than``: came onto the node longer ago than this.
    ``patterns``: shell patterns on the full reference (``docker.io/library/*``), one of which must fit; none means all.
    Pinned images, images containers use, the pause image and the agent's are always kept.
    """

    keep: int | None = None
    older_than: timedelta | None = None
    patterns: tuple[str, ...] = ()

    def choose(self, images: Sequence[wire.StoredImage], now: datetime) -> list[str]:
        """The references to remove, sorted. Pure: the same inventory always gives the same list."""
        by_repository: dict[str, list[tuple[str, str, wire.StoredImage]]] = {}
        for image in images:
            if image.pinned or image.used_by:
                continue
            for reference in image.references:
                name = _repository(reference)
                if name and not any(fnmatch.fnmatchcase(name, kept) for kept in ALWAYS_KEPT):
                    by_repository.setdefault(name, []).append((image.stored or image.created, reference, image))
        chosen = []
        for entries in by_repository.values():
            newest_first = sorted(entries, key=lambda entry: (entry[0], entry[1]), reverse=True)
            spared = _digests(newest_first, self.keep or 0)
            for stored, reference, image in newest_first:
                if image.config_digest in spared or not self._fits(reference):
                    continue
                if self.older_than is None or _age(stored, now) > self.older_than:
                    chosen.append(reference)
        return sorted(chosen)

    def _fits(self, reference: str) -> bool:
        return not self.patterns or any(fnmatch.fnmatchcase(reference, pattern) for pattern in self.patterns)


def _digests(newest_first: list[tuple[str, str, wire.StoredImage]], keep: int) -> set[str]:
    """The first ``keep`` different images; several names of one image count once."""
    spared: list[str] = []
    for _, _, image in newest_first:
        if image.config_digest not in spared and len(spared) < keep:
            spared.append(image.config_digest)
    return set(spared)


def _repository(reference: str) -> str:
    if reference.startswith("sha256:"):
        return ""  # CRI's own record of an image in containerd
    try:
        return Reference.parse(reference).name
    except ReferenceInvalid:
        return ""


def _age(stored: str, now: datetime) -> timedelta:
    try:
        then = datetime.fromisoformat(stored)
    except ValueError:
        return timedelta(0)
    return now - (then if then.tzinfo else then.replace(tzinfo=UTC))


def parse_age(text: str) -> timedelta:
    """``36h``, ``7d``, ``90m``, ``2w``. Raises BadInput."""
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    value, unit = text[:-1], text[-1:]
    if unit in units and value.isdecimal():
        return timedelta(**{units[unit]: int(value)})
    raise BadInput(f"older_than is {text!r}; write a number and m, h, d or w, for example 7d.")


async def remove(fleet: Fleet, references: Sequence[str], *, force: bool, engine: str, check: bool) -> Report:
    """Remove names from the nodes, or predict it; a name a node does not have is no failure."""
    names = [str(Reference.parse(reference)) for reference in references]
    return await _remove_each(fleet, lambda inventory: names, "absent", force=force, engine=engine, check=check)


async def prune(fleet: Fleet, policy: Policy, *, engine: str, check: bool) -> Report:
    """Remove what a policy chooses on each node, or predict it."""
    now = datetime.now(UTC)
    return await _remove_each(
        fleet, lambda inventory: policy.choose(inventory.images, now), "pruned", force=False, engine=engine, check=check
    )


Choose = Callable[[wire.Inventory], Sequence[str]]


async def _remove_each(fleet: Fleet, choose: Choose, state: str, *, force: bool, engine: str, check: bool) -> Report:
    report = Report()
    nodes = [node.name for node in reachable(fleet, report)]
    inventories = await fleet.each(lambda agent: agent.images(engine), nodes)
    todo: dict[str, list[str]] = {}
    for name, inventory in inventories.items():
        if isinstance(inventory, LimaniError):
            report.nodes[name] = failure(inventory)
            continue
        held = {reference: image for image in inventory.images for reference in image.references}
        todo[name] = [reference for reference in choose(inventory) if reference in held]
        report.nodes[name] = _predicted(todo[name], held, state, force)
    if check:
        return report
    busy = [name for name, references in todo.items() if references]
    answers = await fleet.each(
        lambda agent: agent.remove(wire.RemoveRequest(tuple(todo[agent.node.name]), force, engine)), busy
    )
    for name, answer in answers.items():
        if isinstance(answer, LimaniError):
            report.nodes[name] = failure(answer)
        else:
            _take_results(report.nodes[name], answer.results)
    return report


def _predicted(references: Sequence[str], held: dict[str, wire.StoredImage], state: str, force: bool) -> dict[str, Any]:
    """A node's result as it would be: removed, or refused because a container uses the image."""
    going = set(references)
    images = {}
    blocked = []
    for reference in references:
        image = held[reference]
        last = not set(image.references) - going
        if image.used_by and last and not force:
            blocked.append(reference)
        images[reference] = _image(image, removed=reference not in blocked)
        if reference in blocked:
            images[reference]["reason"] = "in use"
    result = {
        "changed": any(image["changed"] for image in images.values()),
        "failed": False,
        "state": state,
        "reason": "",
        "bytes": 0,
        "seconds": 0.0,
        "source": "",
        "images": images,
    }
    if blocked:
        users = ", ".join(sorted({user for name in blocked for user in held[name].used_by}))
        spoil(result, ImageInUse(f"{', '.join(blocked)} is used by {users}."))
    return result


def _image(image: wire.StoredImage, *, removed: bool) -> dict[str, Any]:
    digest = image.digest or image.config_digest
    return {
        "changed": removed,
        "state": "absent" if removed else "present",
        "digest": "" if removed else digest,
        "bytes": 0,
        "pinned": False if removed else image.pinned,
        "reason": "",
        "before": {"digest": digest, "pinned": image.pinned},
    }


def _take_results(result: dict[str, Any], removed: Sequence[wire.Removed]) -> None:
    """Put what the agent says in the place of what was predicted."""
    for one in removed:
        image = result["images"][one.reference]
        image["changed"] = one.changed
        image["state"] = "present" if one.error else "absent"
        image["digest"] = image["before"]["digest"] if one.error else ""
        image["reason"] = str(one.error.get("message", "")) if one.error else ""
    result["changed"] = any(one.changed for one in removed)
    error = next((one.error for one in removed if one.error), None)
    if error:
        spoil(result, error)
    else:
        result.update(failed=False, reason="")
        result.pop("error", None)


async def pin(fleet: Fleet, report: Report, pinned: bool, *, engine: str, check: bool) -> None:
    """Pin or unpin the images a report says are present, where that is not so yet."""

    async def one(agent: AgentClient) -> None:
        result = report.nodes[agent.node.name]
        names = tuple(
            name
            for name, image in result["images"].items()
            if image["state"] == "present" and image["pinned"] != pinned
        )
        if not names:
            return
        if not check:
            answer = await agent.pin(wire.PinRequest(names, pinned, engine))
            error = next((done.error for done in answer.results if done.error), None)
            if error:
                spoil(result, error)
                return
        for name in names:
            result["images"][name].update(changed=True, pinned=pinned)
        result["changed"] = True

    fine = [name for name, result in report.nodes.items() if not result["failed"]]
    for name, answer in (await fleet.each(one, fine)).items():
        if isinstance(answer, LimaniError):
            spoil(report.nodes[name], answer)


async def pin_names(fleet: Fleet, references: Sequence[str], pinned: bool, *, engine: str) -> Report:
    """Pin or unpin names; a node that lacks one of them has failed."""
    report = Report()
    names = [str(Reference.parse(reference)) for reference in references]
    nodes = [node.name for node in reachable(fleet, report)]
    for name, inventory in (await fleet.each(lambda agent: agent.images(engine), nodes)).items():
        if isinstance(inventory, LimaniError):
            report.nodes[name] = failure(inventory)
            continue
        held = {reference: image for image in inventory.images for reference in image.references}
        report.nodes[name] = _predicted([], held, "present", False)
        report.nodes[name]["images"] = {
            reference: _image(held[reference], removed=False) for reference in names if reference in held
        }
        missing = [reference for reference in names if reference not in held]
        if missing:
            spoil(report.nodes[name], ImageNotFound(f"Node {name} does not hold {', '.join(missing)}.", node=name))
    await pin(fleet, report, pinned, engine=engine, check=False)
    return report
