"""Reading what minikube prints, from recordings of version 1.38.1 (tests/data/minikube/README.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from limani.cluster.minikube import output
from limani.errors import CommandFailed

DATA = Path(__file__).parents[2] / "data/minikube/1.38.1"


def read(name: str) -> str:
    return (DATA / name).read_text()


@pytest.mark.parametrize(
    ("name", "states", "ready"),
    [
        ("status-two-nodes.json", ["up", "up"], [True, True]),
        ("status-worker-stopped.json", ["up", "down"], [True, False]),
        ("status-kubelet-stopped.json", ["up"], [False]),
        ("status-paused.json", ["paused"], [False]),
        ("status-stopped.json", ["down"], [False]),
    ],
)
def test_states_of_nodes(name: str, states: list[str], ready: list[bool]) -> None:
    """A node is up, paused or down, and ready only if all its components are well: a stopped kubelet counts."""
    state = output.cluster_state(read(name))
    assert state is not None
    assert [node.state for node in state.nodes] == states
    assert [node.ready for node in state.nodes] == ready


def test_container_removed_behind_its_back() -> None:
    """``null`` means that the node's container is gone."""
    assert output.cluster_state("null") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"Name": "x"}', "host: Running"])
def test_unknown_output_is_refused(text: str) -> None:
    """What is not a status as known is an error that shows it, never a guess."""
    with pytest.raises(CommandFailed, match="versions known"):
        output.cluster_state(text)
    with pytest.raises(CommandFailed):
        output.profiles("x" + text)


def test_no_profiles() -> None:
    """An empty list of profiles is an empty list."""
    assert output.profiles(read("profile-list-empty.json")) == {}


def test_broken_profiles_are_listed_too() -> None:
    """Profiles minikube calls invalid exist all the same."""
    assert output.profiles(read("profile-list-invalid.json")) == {"dry": {}}


def test_addresses_of_nodes() -> None:
    """``node list`` has NAME, a tab, ADDRESS."""
    assert output.nodes("lab\t192.168.49.2\nlab-m02\t192.168.49.3\n") == {
        "lab": "192.168.49.2",
        "lab-m02": "192.168.49.3",
    }


def test_message_of_failed_start() -> None:
    """The last error event is what is shown, not the steps before it."""
    assert output.message(read("start-too-old-kubernetes.jsonl")) == (
        "Kubernetes 1.20.0 is not supported by this release of minikube"
    )
    assert "docker version" in output.message(read("start-without-docker.jsonl"))


def test_events_among_other_lines() -> None:
    """Plain log lines between the events are skipped."""
    mixed = "! a warning\n" + read("delete-missing-profile.jsonl") + "\nnull\n{}\n"
    assert [event["type"] for event in output.events(mixed)] == [
        "io.k8s.sigs.minikube.error",
        "io.k8s.sigs.minikube.info",
    ]
