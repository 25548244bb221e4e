"""Answers the checks of a lesson: all probes at once, each with a limit, rendered in one language."""

from __future__ import annotations

import asyncio
import os
import traceback

from limani.errors import LimaniError
from limani.lab import probes
from limani.lab.actions import fill_all
from limani.lab.lesson import Check, Lesson
from limani.lab.record import Finding, Result, Status, Text, unknown
from limani.lab.texts import fill, render
from limani.lab.world import World

PATIENCE_S = 1.8
"""What one probe may take, so that the learner has an answer in two seconds. LIMANI_LAB_PATIENCE on slow machines."""


async def run_checks(lesson: Lesson, world: World, lang: str) -> list[Result]:
    """The results of all checks, in the lesson's order. Never raises for what a probe meets: that is ``unknown``."""
    findings = await asyncio.gather(*(_ask(check, world) for check in lesson.checks))
    statuses: dict[str, Status] = {}
    results = []
    for check, finding in zip(lesson.checks, findings, strict=True):
        missing = [need for need in check.needs if statuses[need] != Status.PASS]
        if missing:
            finding = _blocked(lesson, missing, world, lang)
        statuses[check.id] = finding.status
        results.append(_result(lesson, check, finding, world, lang))
    return results


async def _ask(check: Check, world: World) -> Finding:
    """One probe's finding; whatever it raises means that nothing is known."""
    limit = float(os.environ.get("LIMANI_LAB_PATIENCE") or PATIENCE_S)
    wanted = Text("check.unreachable_wanted")
    try:
        async with asyncio.timeout(limit):
            return await probes.get(check.probe)(world, **fill_all(check.with_, world.values))
    except TimeoutError:
        return unknown(Text("check.timeout", {"seconds": limit}), wanted)
    except LimaniError as error:
        return unknown(Text("check.unreachable", {"reason": error.message}), wanted, error=error.to_dict())
    except Exception as error:  # noqa: BLE001 - a probe that breaks must not take the other answers with it
        reason = f"{type(error).__name__}: {error}"
        where = traceback.format_exception(error)[-3:]
        return unknown(Text("check.unreachable", {"reason": reason}), wanted, error=reason, trace="".join(where))


def _blocked(lesson: Lesson, missing: list[str], world: World, lang: str) -> Finding:
    titles = ", ".join(fill(lesson.texts[lang].checks[name].title, world.values, lang) for name in missing)
    return Finding(Status.BLOCKED, Text("check.blocked"), Text("check.blocked_wanted", {"checks": titles}))


def _result(lesson: Lesson, check: Check, finding: Finding, world: World, lang: str) -> Result:
    texts = lesson.texts[lang]
    said = texts.checks[check.id]
    why = following = ""
    if finding.status == Status.FAIL:
        cause = texts.causes.get(finding.cause or "")
        why, following = (cause.why, cause.next) if cause else (said.why, said.next)
    elif finding.status == Status.BLOCKED:
        why, following = render(Text("check.blocked_why"), lang), render(Text("check.blocked_next"), lang)
    elif finding.status == Status.UNKNOWN:
        why, following = render(Text("check.unreachable_why"), lang), render(Text("check.unreachable_next"), lang)
    return Result(
        id=check.id,
        status=finding.status,
        title=fill(said.title, world.values, lang),
        found=render(finding.found, lang),
        wanted=render(finding.wanted, lang),
        why=fill(why, world.values, lang),
        next=fill(following, world.values, lang),
        cause=finding.cause,
        evidence=finding.evidence,
    )
