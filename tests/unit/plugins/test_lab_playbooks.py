"""The playbooks of the learning lab hand their variables to the modules, and tell what the modules say."""

from __future__ import annotations

import json
from typing import Any

import pytest

CASES: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    (
        "start",
        {"lab_backend": "kind", "lab_docker": "unix:///d"},
        "lab_lesson",
        {"state": "started", "backend": "kind"},
    ),
    ("solve", {"lab_lang": "el", "lab_home": "/h"}, "lab_lesson", {"state": "solved", "lang": "el", "home": "/h"}),
    ("reset", {}, "lab_lesson", {"state": "reset"}),
    ("reset", {"lab_state": "absent"}, "lab_lesson", {"state": "absent"}),
    ("break", {"break_id": "image-pull"}, "lab_lesson", {"state": "broken", "break_id": "image-pull"}),
    ("break", {}, "lab_lesson", {"state": "broken", "break_id": None}),
]


@pytest.mark.parametrize(("playbook", "variables", "function", "expected"), CASES)
def test_variables_reach_the_module(
    play, playbook: str, variables: dict[str, Any], function: str, expected: dict[str, Any]
):
    """``-e lesson=pods`` is enough; the other variables reach the option of that name, by FQCN."""
    ran = play(f"limani.nodes.lab_{playbook}", "-e", json.dumps({"lesson": "pods"} | variables))
    assert ran.code == 0, ran.stdout
    (call,) = ran.calls
    assert call["function"] == function
    assert call["params"] | {"lesson": "pods"} | expected == call["params"]


def test_a_break_is_told(play):
    """The symptom is printed, and so is that there was nothing to break."""
    told = {"lab_lesson": {"result": {"changed": True, "break": {"title": "Gone", "story": "Nobody sees it."}}}}
    assert play("limani.nodes.lab_break", "-e", "lesson=pods", answers=told).last["msg"] == ["Gone", "Nobody sees it."]
    none = {"lab_lesson": {"result": {"changed": False, "break": {}}}}
    assert "already" in play("limani.nodes.lab_break", "-e", "lesson=pods", answers=none).last["msg"][0]


@pytest.mark.parametrize("passed", [True, False])
def test_check_fails_unless_all_pass(play, passed: bool):
    """The exit code says whether the lesson is solved; what is missing is printed."""
    check = {"id": "ready", "status": "pass" if passed else "fail", "title": "The Pod is Ready", "next": "Apply it."}
    told = {"lab_lesson_info": {"result": {"started": True, "title": "Pods", "passed": passed, "checks": [check]}}}
    ran = play("limani.nodes.lab_check", answers=told)
    assert (ran.code == 0) == passed
    assert passed or ran.last["msg"] == ["The Pod is Ready: Apply it."]


@pytest.mark.parametrize("playbook", ["start", "solve", "reset", "break"])
def test_without_a_lesson_nothing_is_done(play, playbook: str):
    """A forgotten ``-e lesson=`` calls nothing and names the variable."""
    ran = play(f"limani.nodes.lab_{playbook}")
    assert ran.code != 0
    assert ran.calls == []
    assert "lesson" in ran.stdout
