"""The agent's objects ask for no more than they need."""

from __future__ import annotations

from typing import Any

import pytest

from limani.deploy.manifests import Wanted, render


def container(wanted: Wanted) -> dict[str, Any]:
    return dict(render(wanted)[-1]["spec"]["template"]["spec"]["containers"][0])


def test_namespace_comes_first_and_daemon_set_last() -> None:
    """Objects are in the order they can be created in."""
    kinds = [item["kind"] for item in render(Wanted(image="x"))]
    assert (kinds[0], kinds[-1]) == ("Namespace", "DaemonSet")


def test_no_privileges() -> None:
    """No privileged container, no host namespaces, no capabilities, read-only root, seccomp."""
    pod = render(Wanted(image="x"))[-1]["spec"]["template"]["spec"]
    assert not {"hostPID", "hostNetwork", "hostIPC"} & pod.keys()
    context = pod["containers"][0]["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "privileged" not in context


def test_agent_may_only_ask_who_somebody_is() -> None:
    """The agent's own account can create reviews and nothing else."""
    roles = {
        item["metadata"]["name"]: item["rules"] for item in render(Wanted(image="x")) if item["kind"] == "ClusterRole"
    }
    granted = {
        (resource, verb) for rule in roles["limani-agent"] for resource in rule["resources"] for verb in rule["verbs"]
    }
    assert granted == {("tokenreviews", "create"), ("subjectaccessreviews", "create")}
    assert all("*" not in rule["verbs"] and "*" not in rule["resources"] for rules in roles.values() for rule in rules)


def test_viewer_cannot_change_anything() -> None:
    """The viewer's only verb is get."""
    roles = {item["metadata"]["name"]: item for item in render(Wanted(image="x")) if item["kind"] == "ClusterRole"}
    assert {verb for rule in roles["limani-viewer"]["rules"] for verb in rule["verbs"]} == {"get"}


@pytest.mark.parametrize("docker", [False, True])
def test_docker_mounts_only_where_asked(docker: bool) -> None:
    """The host's /run is mounted only for nodes with dockerd."""
    mounts = {mount["mountPath"] for mount in container(Wanted(image="x", docker=docker))["volumeMounts"]}
    assert ("/host/run" in mounts) is docker


@pytest.mark.parametrize("value", ['x"; {evil: true}', "{{ 7 * 7 }}", "a: b", "- x"])
def test_values_cannot_break_out_of_the_template(value: str) -> None:
    """A value stays one string whatever it contains."""
    assert container(Wanted(image=value))["image"] == value
