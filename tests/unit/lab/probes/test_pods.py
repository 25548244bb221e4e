"""The state of a Pod and its cause, from statuses as kubelets write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from limani.lab.probes._pods import state
from limani.lab.texts import render
from tests.unit.lab.probes.kube_world import container, pod

NOW = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
CRASHED = {"terminated": {"exitCode": 127, "reason": "Error"}}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": "because"}}


def ended(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}}


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (container(waiting("ErrImagePull")), "image-pull"),
        (container(waiting("ImagePullBackOff")), "image-pull"),
        (container(waiting("InvalidImageName")), "image-name"),
        (container(waiting("CrashLoopBackOff"), restarts=3, lastState=CRASHED), "crash-loop"),
        (container(ended(127)), "crash-loop"),
        (container(ended(0), restarts=2), "crash-loop"),
        (container(waiting("CreateContainerConfigError")), "container-config"),
        (container(waiting("RunContainerError")), "container-start"),
        (
            container(waiting("CrashLoopBackOff"), restarts=1, lastState={"terminated": {"reason": "StartError"}}),
            "container-start",
        ),
        (
            container(waiting("CrashLoopBackOff"), restarts=1, lastState={"terminated": {"reason": "OOMKilled"}}),
            "out-of-memory",
        ),
        (container() | {"ready": False}, "not-ready"),
        (container(waiting("ContainerCreating")), None),
        (container(ended(0)), None),
        (container(ended(137)), None),
        (container(waiting("CrashLoopBackOff"), restarts=1, spec_image="web:2"), None),
    ],
)
def test_a_container_that_keeps_a_pod_from_being_ready_is_told_by_its_cause(
    status: dict[str, Any], cause: str | None
) -> None:
    """Each reason the kubelet gives has its cause; a single end, a start and a change of the image are none."""
    found = state(pod("site", status), NOW)
    assert not found.ready
    assert found.cause == cause
    for lang in ("en", "el"):
        assert render(found.text, lang)


def test_a_ready_pod_is_ready() -> None:
    """Nothing waits, the condition Ready is True."""
    found = state(pod("site", container(), ready=True), NOW)
    assert found.ready
    assert found.cause is None


def test_an_init_container_that_goes_on_holds_up_the_others() -> None:
    """The others only wait for it (PodInitializing), so it is the cause, with the time it has been running."""
    init = container(name="prepare") | {"ready": False, "started": False}
    found = state(pod("duo", container(waiting("PodInitializing")), initContainerStatuses=[init]), NOW)
    assert found.cause == "init-waits"
    assert found.text.values["seconds"] == 30
    assert found.text.values["container"] == "prepare"


def test_a_sidecar_that_runs_is_no_trouble() -> None:
    """An init container with restartPolicy Always is started and ready and goes on for ever."""
    sidecar = container(name="proxy") | {"started": True}
    assert state(pod("duo", container(), ready=True, initContainerStatuses=[sidecar]), NOW).ready


def test_an_init_container_that_fails_is_told() -> None:
    """Exit code 1 of an init container."""
    init = container(ended(1), name="prepare")
    found = state(pod("duo", container(waiting("PodInitializing")), initContainerStatuses=[init]), NOW)
    assert found.cause == "init-fails"


def test_a_pod_without_a_node_says_why() -> None:
    """The scheduler's message is passed on."""
    condition = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
    found = state(pod("site", phase="Pending", conditions=[condition]), NOW)
    assert found.cause == "unschedulable"
    assert "0/2 nodes" in render(found.text, "en")


def test_a_pod_that_is_being_deleted_is_not_ready() -> None:
    """Although its containers still run."""
    leaving = pod("site", container(), ready=True)
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not state(leaving, NOW).ready
