"""What the module ``k8s_node_image`` and the command do: one call, many images, many nodes. Synchronous."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import msgspec

from limani.errors import BadInput, TimedOut
from limani.fleet.fleet import OPERATOR, VIEWER, Fleet
from limani.image.reference import Reference
from limani.kube.session import KubeSession
from limani.seed import remove
from limani.seed.inventory import inventory
from limani.seed.job import Options, Progress, label, put
from limani.seed.meter import Meter
from limani.seed.plan import Spread, enough, rate_bytes
from limani.seed.report import Report, verdict
from limani.seed.sources import Registry, Sources

Params = Mapping[str, Any]


def node_image(
    params: Params, *, check: bool, progress: Callable[[str], None], on_bytes: Progress | None = None
) -> dict[str, Any]:
    """Make nodes hold images, not hold them, or prune them; see the module ``k8s_node_image`` for ``params``.

    ``progress`` gets a line for people now and then; ``on_bytes(node, digest, received, size)`` every report.

    Returns changed, images, nodes, summary, diff (JSON types). Raises SomeNodesFailed with the same keys in its
    fields, or another LimaniError before anything changed.
    """
    return asyncio.run(_node_image(params, check, on_bytes or Meter(progress).on_progress))


def node_image_info(params: Params) -> dict[str, Any]:
    """What the nodes hold; see the module ``k8s_node_image_info``. Raises SomeNodesFailed, LimaniError."""
    return asyncio.run(_node_image_info(params))


def node_image_pin(params: Params) -> dict[str, Any]:
    """Pin or unpin images that are on the nodes: ``names``, ``pinned`` and the common parameters."""
    return asyncio.run(_node_image_pin(params))


async def _node_image_pin(params: Params) -> dict[str, Any]:
    async with _session(params) as session:
        fleet = await _fleet(session, params, OPERATOR)
        report = await remove.pin_names(fleet, params["names"], bool(params["pinned"]), engine=_engine(params))
    return verdict(report, params.get("min_success") or "100%")


async def _node_image(params: Params, check: bool, on_bytes: Progress) -> dict[str, Any]:
    begun = time.monotonic()
    state = params.get("state") or "present"
    _check_values(params)
    async with _session(params) as session:
        fleet = await _fleet(session, params, OPERATOR)
        enough(params.get("min_success") or "100%", len(fleet.nodes))
        if state == "present":
            report = await _present(fleet, params, check, on_bytes)
        else:
            report = await _gone(fleet, params, state, check)
    report.seconds = time.monotonic() - begun
    return verdict(report, params.get("min_success") or "100%")


def _check_values(params: Params) -> None:
    """Refuse what cannot be meant before the first request."""
    rate_bytes(params.get("rate"))
    enough(params.get("min_success") or "100%", 10**6)
    if params.get("state") == "pruned":
        _policy(params.get("prune") or {})
    names = [image["name"] for image in params.get("images") or [] if image.get("name")]
    seen = [str(Reference.parse(name)) for name in names]
    twice = sorted({name for name in seen if seen.count(name) > 1})
    if twice:
        raise BadInput(f"images names {', '.join(twice)} more than once.")


def _session(params: Params) -> KubeSession:
    return KubeSession.open(params.get("kubeconfig"), params.get("context"))


async def _fleet(session: KubeSession, params: Params, account: str) -> Fleet:
    return await Fleet.find(
        session,
        names=params.get("nodes") or (),
        selector=params.get("node_selector") or "",
        namespace=params.get("namespace") or "limani-system",
        account=account,
    )


def _engine(params: Params) -> str:
    engine = params.get("engine") or "auto"
    return "" if engine == "auto" else str(engine)


async def _present(fleet: Fleet, params: Params, check: bool, on_bytes: Progress) -> Report:
    pinned = params.get("pin")
    how = params.get("spread") or os.environ.get("LIMANI_SPREAD") or "chain"
    options = Options(
        pin=bool(pinned),
        rate=rate_bytes(params.get("rate")),
        timeout_s=float(params.get("timeout") or 1800),
        engine=_engine(params),
        how=cast("Spread", how),
        check=check,
    )
    registries = [msgspec.convert(entry, Registry) for entry in params.get("registries") or []]
    secrets = [(entry.get("namespace") or "default", entry["name"]) for entry in params.get("pull_secrets") or []]
    async with Sources(
        fleet, registries=registries, auth_file=params.get("auth_file"), pull_secrets=secrets
    ) as sources:
        items = [item for image in params.get("images") or [] for item in await sources.items(image)]
        report = await put(fleet, items, options, on_bytes)
    if pinned is False:
        await remove.pin(fleet, report, False, engine=options.engine, check=check)
    if params.get("label_nodes"):
        await label(fleet, report, check=check)
    return report


async def _gone(fleet: Fleet, params: Params, state: str, check: bool) -> Report:
    engine = _engine(params)
    timeout = float(params.get("timeout") or 1800)
    try:
        async with asyncio.timeout(timeout):
            if state == "absent":
                names = [str(image["name"]) for image in params.get("images") or []]
                report = await remove.remove(fleet, names, force=bool(params.get("force")), engine=engine, check=check)
                report.images = [{"reference": str(Reference.parse(name))} for name in names]
            else:
                report = await remove.prune(fleet, _policy(params.get("prune") or {}), engine=engine, check=check)
    except TimeoutError as error:
        raise TimedOut(f"The nodes were not done within {timeout:.0f} s.") from error
    if params.get("label_nodes"):
        await label(fleet, report, check=check)
    return report


def _policy(prune: Mapping[str, Any]) -> remove.Policy:
    policy = remove.Policy(keep=prune.get("keep"), patterns=tuple(prune.get("patterns") or ()))
    older_than = prune.get("older_than")
    if older_than is not None:
        age = remove.parse_age(older_than) if isinstance(older_than, str) else timedelta(seconds=float(older_than))
        policy = replace(policy, older_than=age)
    if policy == remove.Policy():
        raise BadInput(
            "prune without a condition would remove everything that is not in use.",
            hint="Give keep, older_than or patterns.",
        )
    return policy


async def _node_image_info(params: Params) -> dict[str, Any]:
    enough(params.get("min_success") or "100%", 10**6)
    async with _session(params) as session:
        fleet = await _fleet(session, params, VIEWER)
        return await inventory(
            fleet,
            engine=_engine(params),
            wanted=[str(pattern) for pattern in params.get("images") or []],
            min_success=params.get("min_success") or "100%",
        )
