"""Probes of Deployments against an API server that answers from a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limani.lab.probes import kube_deployments
from limani.lab.record import Status
from limani.lab.texts import render
from tests.unit.lab.probes.kube_world import Api, container, pod, world

APPS = "/apis/apps/v1"
DONE = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "observedGeneration": 1}


def deployment(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "shop", "uid": "d", "generation": 1},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "shop"}}, **spec},
        "status": status,
    }


def replica_set(revision: int, owner: str = "d") -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"shop-{revision}",
            "labels": {"app": "shop", "pod-template-hash": f"h{revision}"},
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"uid": owner}],
        }
    }


def member(name: str, revision: int, **status: Any) -> dict[str, Any]:
    item = pod(name, container(**status), ready=not status)
    item["metadata"]["labels"] = {"app": "shop", "pod-template-hash": f"h{revision}"}
    return item


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (deployment(DONE), "pass"),
        (deployment(DONE, replicas=2), None),
        (deployment({**DONE, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}, replicas=2), "scale"),
        (deployment({**DONE, "updatedReplicas": 0}, paused=True), "paused"),
        (deployment(DONE, paused=True), "pass"),
        (deployment({**DONE, "observedGeneration": 0}), None),
    ],
)
async def test_when_a_rollout_is_complete(tmp_path: Path, given: dict[str, Any], cause: str | None) -> None:
    """All wanted Pods are of the newest revision and Ready, and the controller has seen the newest wish."""
    api = Api()
    api.has("deployments", given, prefix=APPS)
    api.has("replicasets", replica_set(1), prefix=APPS)
    api.has("pods", member("shop-a", 1))
    finding = await kube_deployments.complete(world(api, tmp_path), name="shop", replicas=3)
    assert (str(finding.status) if finding.status == Status.PASS else finding.cause) == cause


async def test_a_stuck_rollout_is_explained_by_the_newest_pods(tmp_path: Path) -> None:
    """Old Pods are well; the one of the newest revision waits for its image."""
    api = Api()
    api.has("deployments", deployment({**DONE, "replicas": 4, "updatedReplicas": 1}), prefix=APPS)
    api.has("replicasets", replica_set(9), replica_set(10), replica_set(11, owner="other"), prefix=APPS)
    api.has("pods", member("old", 9), member("new", 10, state={"waiting": {"reason": "ErrImagePull"}}))
    finding = await kube_deployments.complete(world(api, tmp_path), name="shop", replicas=3)
    assert finding.cause == "image-pull"
    assert "Ready 3; the container web has no image" in render(finding.found, "en")
    assert "Ready 3· το container web" in render(finding.found, "el")


async def test_a_quota_that_lets_no_pod_be_made_is_told(tmp_path: Path) -> None:
    """The Deployment's own condition is the reason then."""
    condition = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    api = Api()
    api.has("deployments", deployment({**DONE, "replicas": 0, "conditions": [condition]}), prefix=APPS)
    finding = await kube_deployments.complete(world(api, tmp_path), name="shop", replicas=3)
    assert finding.cause == "cannot-create"


async def test_a_bare_pod_is_not_a_deployment(tmp_path: Path) -> None:
    """The mistake has a cause of its own."""
    api = Api()
    assert (await kube_deployments.complete(world(api, tmp_path), name="shop", replicas=3)).cause == "missing"
    api.has("pods", pod("shop"))
    assert (await kube_deployments.complete(world(api, tmp_path), name="shop", replicas=3)).cause == "bare-pod"


async def test_one_old_pod_is_enough_to_fail(tmp_path: Path) -> None:
    """Every Pod is asked."""
    api = Api()
    api.has("deployments", deployment(DONE), prefix=APPS)
    api.has("pods", member("shop-a", 1), member("shop-b", 1))
    api.pod_says("shop-a", "version 2\n")
    api.pod_says("shop-b", "version 1\n")
    finding = await kube_deployments.all_answer(world(api, tmp_path), name="shop", contains="version 2")
    assert (finding.cause, finding.found.values["name"]) == ("other-version", "shop-b")
    api.pod_says("shop-b", "version 2\n")
    finding = await kube_deployments.all_answer(world(api, tmp_path), name="shop", contains="version 2")
    assert finding.status == Status.PASS


async def test_revisions_are_the_replica_sets_it_owns(tmp_path: Path) -> None:
    """Those of another owner with the same labels do not count."""
    api = Api()
    api.has("deployments", deployment(DONE), prefix=APPS)
    api.has("replicasets", replica_set(1), replica_set(2, owner="other"), prefix=APPS)
    assert (await kube_deployments.revisions(world(api, tmp_path), name="shop")).cause == "no-history"
    api.has("replicasets", replica_set(1), replica_set(2), prefix=APPS)
    assert (await kube_deployments.revisions(world(api, tmp_path), name="shop")).status == Status.PASS


async def test_lost_requests_are_counted(tmp_path: Path) -> None:
    """No recorder: unknown. No change yet, a change with a loss, one without: told apart."""
    api = Api()

    async def finding() -> tuple[Status, str | None]:
        found = await kube_deployments.no_request_lost(world(api, tmp_path), recorder="load", before="1", after="2")
        return found.status, found.cause

    assert await finding() == (Status.UNKNOWN, None)
    api.has("pods", pod("load", container(), ready=True))
    log = "/api/v1/namespaces/pods/pods/load/log"
    api.answers[log] = "now 1\nsteady 1\n"
    assert await finding() == (Status.FAIL, "no-change")
    api.answers[log] = "now 1\nsteady 1\nwas 1 30\nnow lost\nwas lost 1\nnow 2\nsteady 2\n"
    assert await finding() == (Status.FAIL, "lost")
    api.answers[log] = "now 1\nsteady 1\nwas 1 30\nnow 2\nsteady 2\n"
    assert await finding() == (Status.PASS, None)
