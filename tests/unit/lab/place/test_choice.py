"""Which place a lesson gets, as far as that can be told without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from limani.errors import BadInput, HostUnsuitable, Unsupported
from limani.lab.lab import Lab
from limani.lab.place import docker
from limani.lab.place import home as homes


@pytest.mark.parametrize("backend", ["kind", "minikube"])
async def test_lessons_that_stop_parts_of_the_cluster_need_a_native_one(backend: str, tmp_path: Path) -> None:
    """Such a lesson is refused on a backend that cannot, before anything is made."""
    home = tmp_path / "home"
    with pytest.raises(Unsupported, match=f"made by {backend}"):
        await Lab(home, "en").start("cluster", backend=backend, say=print)
    assert not (home / "cluster.json").exists()
    assert not (home / "work").exists()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("tcp://10.1.2.3:2376", "10.1.2.3"),
        ("ssh://me@far.example", "far.example"),
        ("unix:///x/docker.sock", "127.0.0.1"),
    ],
)
def test_where_published_ports_answer(host: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports published by a daemon on another machine answer there, those of a daemon of this machine on loopback."""
    monkeypatch.setattr(docker, "_need", lambda host: None)
    monkeypatch.setattr(docker, "_nodes", lambda: iter([]))
    monkeypatch.delenv("LIMANI_DOCKER_ADDRESS", raising=False)
    place = docker._place(Path(), docker._choose(Path(), host, print))
    assert (place.host, place.kind, place.address) == (host, "machine", address)


def test_a_node_of_a_native_cluster_is_known_by_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon of a node publishes ports at the node's address; ``node`` takes the first there is."""
    nodes = [
        ("unix:///proc/7/root/run/docker.sock", "10.89.0.11"),
        ("unix:///proc/8/root/run/docker.sock", "10.89.0.12"),
    ]
    monkeypatch.setattr(docker, "_need", lambda host: None)
    monkeypatch.setattr(docker, "_nodes", lambda: iter(nodes))
    for wanted, address in ((nodes[1][0], "10.89.0.12"), ("node", "10.89.0.11")):
        record = docker._choose(tmp_path, wanted, print)
        assert (record.kind, record.address) == ("node", address)
    monkeypatch.setattr(docker, "_nodes", lambda: iter([]))
    with pytest.raises(HostUnsuitable, match="No node"):
        docker._choose(tmp_path, "node", print)


def test_one_daemon_until_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon chosen first is kept although the environment names another; asking for another is an error."""
    monkeypatch.setattr(docker, "_need", lambda host: None)
    monkeypatch.setattr(docker, "_nodes", lambda: iter([]))
    first = docker.docker_up(tmp_path, "unix:///one.sock", print)
    monkeypatch.setenv("DOCKER_HOST", "unix:///two.sock")
    assert docker.docker_up(tmp_path, None, print) == docker.docker_status(tmp_path) == first
    with pytest.raises(BadInput, match=r"uses the Docker at unix:///one\.sock"):
        docker.docker_up(tmp_path, "unix:///two.sock", print)
    docker.docker_down(tmp_path)
    assert docker.docker_up(tmp_path, None, print).host == "unix:///two.sock"
    assert homes.load(tmp_path / "docker.json", dict[str, object])
