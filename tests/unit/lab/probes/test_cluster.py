"""Probes of the cluster as a whole against an API server that answers from a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limani.lab.probes import cluster
from limani.lab.record import Status
from tests.unit.lab.probes.kube_world import Api, world


def node(name: str, ready: str = "True", **spec: Any) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": ready,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "message": "no network",
    }
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": [condition]}}


@pytest.mark.parametrize(
    ("nodes", "cause"),
    [
        ([node("n1"), node("n2")], "pass"),
        ([node("n1"), node("n2", "Unknown")], "node-silent"),
        ([node("n1", unschedulable=True), node("n2", "Unknown")], "node-silent"),
        ([node("n1", "False")], "node-not-ready"),
        ([node("n1", unschedulable=True), node("n2")], "cordoned"),
        ([node("n1")], "few-nodes"),
        ([], "few-nodes"),
    ],
)
async def test_what_is_wrong_with_the_nodes(tmp_path: Path, nodes: list[dict[str, Any]], cause: str) -> None:
    """A silent node is worse than a cordoned one; all must be well, and there must be enough of them."""
    api = Api()
    api.answers["/api/v1/nodes"] = {"items": nodes}
    finding = await cluster.nodes_ready(world(api, tmp_path), at_least=2)
    assert (str(finding.status) if finding.status == Status.PASS else finding.cause) == cause


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        ({"chooses": "kube-scheduler"}, "pass"),
        ({"chooses": " Scheduler\n"}, "pass"),
        ({"chooses": "ΧΡΟΝΟΔΡΟΜΟΛΟΓΗΤΗΣ"}, "pass"),
        ({"chooses": "χρονοδρομολογητής"}, "pass"),
        ({"chooses": "kubelet"}, "wrong-answer"),
        ({"chooses": "?"}, "not-answered"),
        ({"starts": "scheduler"}, "not-answered"),
        ({}, "not-answered"),
    ],
)
async def test_an_answer_is_taken_in_any_spelling(tmp_path: Path, data: dict[str, str], cause: str) -> None:
    """Case, accents, blanks and the prefix kube- do not matter; another part does."""
    api = Api()
    api.has("configmaps", {"metadata": {"name": "answers"}, "data": data})
    accepted = ("scheduler", "χρονοδρομολογητής")
    finding = await cluster.answer(world(api, tmp_path), key="chooses", accepted=accepted)
    assert (str(finding.status) if finding.status == Status.PASS else finding.cause) == cause


async def test_without_the_configmap_there_is_no_answer(tmp_path: Path) -> None:
    """The cause says so."""
    assert (await cluster.answer(world(Api(), tmp_path), key="x", accepted=("y",))).cause == "no-answers"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (None, "missing"),
        ("not a kubeconfig", "unusable"),
        (
            'clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]\nusers: [{name: u, user: {token: t}}]\n'
            "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
            "no-way-in",
        ),
    ],
)
async def test_a_kubeconfig_that_leads_nowhere_fails(tmp_path: Path, text: str | None, cause: str) -> None:
    """It is used, not only read; what is wrong with it is the learner's to mend, so it is no ``unknown``."""
    if text is not None:
        (tmp_path / "my.kubeconfig").write_text(text)
    finding = await cluster.kubeconfig(world(Api(), tmp_path), file="my.kubeconfig", namespace="kube-system")
    assert (finding.status, finding.cause) == (Status.FAIL, cause)
