"""What the modules ``lab_lesson`` and ``lab_lesson_info`` do. Synchronous, plain JSON types."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from limani.errors import BadInput, CommandFailed
from limani.lab.lab import Broken, Lab, all_pass
from limani.lab.record import Result, Status

Params = Mapping[str, Any]
Say = Callable[[str], None]
STATES = ("started", "solved", "broken", "reset", "absent")


def lab_lesson(params: Params, *, check: bool, progress: Say) -> dict[str, Any]:
    """Bring a lesson into a state; see the module ``lab_lesson`` for ``params`` and the result."""
    return asyncio.run(_lab_lesson(params, check, progress))


def lab_lesson_info(params: Params) -> dict[str, Any]:
    """How a lesson is and what its checks say; see the module ``lab_lesson_info``."""
    return asyncio.run(_lab_lesson_info(params))


async def _lab_lesson(params: Params, check: bool, progress: Say) -> dict[str, Any]:
    began = time.monotonic()
    lab = _lab(params)
    wanted = params.get("state") or "started"
    if wanted not in STATES:
        raise BadInput(f"state is one of {', '.join(STATES)}, not {wanted!r}.", value=wanted)
    break_id = params.get("break_id")
    if break_id and wanted != "broken":
        raise BadInput(f"break_id goes with state=broken, not with state={wanted}.", value=break_id)
    lesson = lab.lesson(str(params["lesson"])).id
    before = await _facts(lab, lesson)
    changed = _changes(before, wanted, break_id)
    broken: Broken | None = None
    if changed and not check:
        broken = await _bring(lab, lesson, wanted, params, progress, before)
    foreseen = {"state": {"reset": "started"}.get(wanted, wanted), "break_id": break_id}
    after = before if not changed else foreseen if check else await _facts(lab, lesson)
    return {
        "changed": changed,
        "diff": {"before": before, "after": after},
        "lesson": lesson,
        "state": after["state"],
        "break": asdict(broken) if broken else {},
        "seconds": round(time.monotonic() - began, 3),
        **_place(lab, lesson),
    }


def _changes(before: Mapping[str, Any], wanted: str, break_id: str | None) -> bool:
    """Whether there is anything to do."""
    now = before["state"]
    if wanted == "reset":
        return True
    if wanted == "started":
        return bool(now == "absent")
    if wanted == "broken":
        return now != "broken" or break_id not in (None, before["break_id"])
    return bool(now != wanted)


async def _bring(
    lab: Lab, lesson: str, wanted: str, params: Params, progress: Say, before: Mapping[str, Any]
) -> Broken | None:
    if wanted == "absent":
        await lab.reset(lesson, remove=True, say=progress)
        return None
    if wanted == "reset" and before["state"] != "absent":
        await lab.reset(lesson, say=progress)
        return None
    await lab.start(lesson, backend=params.get("backend"), docker=params.get("docker"), say=progress)
    if wanted == "broken":
        return await lab.break_(lesson, params.get("break_id"), solve=True, say=progress)
    if wanted == "solved":
        results = await lab.solve(lesson, progress)
        if not all_pass(results):
            failing = ", ".join(f"{r.id} ({r.found})" for r in results if r.status != Status.PASS)
            text = f"The lesson {lesson} was solved, but not all its checks pass: {failing}."
            raise CommandFailed(text, hint="limani lab check says more.", lesson=lesson)
    return None


async def _facts(lab: Lab, lesson: str) -> dict[str, Any]:
    """What the diff shows: the state, the break that is in."""
    attempt = lab.store.read().lessons.get(lesson)
    if attempt is None or attempt.phase != "ready":
        return {"state": "absent", "break_id": None}
    results = await lab.check(lesson)
    if all_pass(results):
        return {"state": "solved", "break_id": None}
    broken = lab.store.read().lessons[lesson].broken
    return {"state": "broken" if broken else "started", "break_id": broken}


async def _lab_lesson_info(params: Params) -> dict[str, Any]:
    lab = _lab(params)
    lesson = lab.lesson(params.get("lesson"))
    attempt = lab.store.read().lessons.get(lesson.id)
    results: list[Result] = []
    if attempt and params.get("checks", True):
        results = await lab.check(lesson.id)
    return {
        "lesson": lesson.id,
        "title": lesson.texts[lab.lang].title,
        "started": bool(attempt and attempt.phase == "ready"),
        "passed": bool(results) and all_pass(results),
        "checks": [result.to_dict() for result in results],
        **_place(lab, lesson.id),
    }


def _place(lab: Lab, lesson: str) -> dict[str, Any]:
    """Where the lesson is worked on; empty where it is not started."""
    if lesson not in lab.store.read().lessons:
        return {"workspace": "", "namespace": "", "environment": {}}
    world = lab.world(lesson)
    return {
        "workspace": str(world.workspace),
        "namespace": world.namespace or "",
        "environment": lab.env(lesson),
    }


def _lab(params: Params) -> Lab:
    home = params.get("home")
    return Lab(Path(home) if home else None, params.get("lang"))
