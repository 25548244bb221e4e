"""The Docker daemon of the lab's own on the real thing: what it offers, and that nothing of it stays."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from limani.errors import BadInput, HostUnsuitable
from limani.lab import bundle
from limani.lab.bundle import Bundle
from limani.lab.place.docker import DockerPlace, docker_down, docker_status, docker_up, load_docker
from tests.integration.lab.daemons import docker, links_of, own, traces

pytestmark = pytest.mark.integration
LAB = "limani.dev/lab/"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A lab's home; its daemon is ended whatever happens."""
    yield tmp_path
    own(tmp_path).stop()


@pytest.fixture
def busy(home: Path) -> DockerPlace:
    """A daemon with a running container on its bridge and one on a network of its own that Docker would restart."""
    place = docker_up(home, "own", print)
    load_docker(place, ["shell:1", "web:1"])
    docker(place, "run", "--detach", "--name", "one", f"{LAB}web:1")
    docker(place, "network", "create", "net")
    docker(place, "run", "--detach", "--name", "two", "--network", "net", "--restart", "always", f"{LAB}web:1")
    return place


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def machine() -> dict[str, str]:
    """Settings of this machine a Docker daemon usually changes."""
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=False).stdout
    docker_rules = [line for line in rules.splitlines() if "DOCKER" in line or "docker" in line or "10.93." in line]
    files = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/bridge/bridge-nf-call-iptables")
    settings = {name: (Path("/proc/sys") / name) for name in files}
    found = {name: path.read_text() for name, path in settings.items() if path.exists()}
    return {**found, "rules": "\n".join(docker_rules)}


def test_ports_processes_and_limits_are_those_of_this_machine(home: Path) -> None:
    """A port published on 127.0.0.1 answers here, a container's process is found here, a memory limit kills here.

    Neither the firewall nor forwarding is touched for it.
    """
    before = machine()
    place = docker_up(home, "own", print)
    assert (place.kind, place.address) == ("own", "127.0.0.1")
    load_docker(place, ["web:1", "shell:1"])
    port = free_port()
    docker(place, "run", "--detach", "--name", "web", "--publish", f"127.0.0.1:{port}:8080", f"{LAB}web:1")
    deadline = time.monotonic() + 10  # the port is open at once, the server behind it is not
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/")
            assert connection.getresponse().read().startswith(b"version 1\n")
            break
        except (http.client.RemoteDisconnected, ConnectionResetError):
            assert time.monotonic() < deadline
        finally:
            connection.close()
    pid = docker(place, "inspect", "--format", "{{.State.Pid}}", "web")
    assert b"/usr/bin/serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
    docker(place, "run", "--memory", "16m", "--name", "hungry", f"{LAB}shell:1", "tail", "/dev/zero", code=137)
    assert docker(place, "inspect", "--format", "{{.State.OOMKilled}}", "hungry") == "true"
    assert machine() == before


@pytest.mark.parametrize("killed", [False, True], ids=["running", "killed"])
def test_down_leaves_nothing(home: Path, busy: DockerPlace, killed: bool) -> None:
    """After down there is no process, cgroup, mount, link or folder of a daemon with running containers.

    The same after SIGKILL of dockerd, when its containers still run.
    """
    daemon = own(home)
    links = links_of(daemon)
    assert len(links) == 4  # two bridges, an end of a cable on each
    pid = docker(busy, "inspect", "--format", "{{.State.Pid}}", "two")
    if killed:
        assert daemon.process is not None
        daemon.process.kill(signal.SIGKILL)
    assert f"process {pid}" in traces(daemon, links)
    docker_down(home)
    assert traces(daemon, links) == set()
    assert docker_status(home) is None


def test_up_after_kill_brings_back_what_there_was(home: Path, busy: DockerPlace) -> None:
    """After SIGKILL the next up starts the daemon again, with its images and containers, and no second bridge."""
    daemon = own(home)
    assert daemon.process is not None
    daemon.process.kill(signal.SIGKILL)
    assert docker_up(home, None, print) == busy
    assert docker(busy, "ps", "--all", "--format", "{{.Names}}").split() == ["two", "one"]
    docker(busy, "start", "one")
    docker(busy, "image", "inspect", f"{LAB}web:1")


def test_up_twice_is_one_daemon(home: Path) -> None:
    """A second up finds the first one's daemon; another place cannot be chosen before down."""
    place = docker_up(home, "own", print)
    process = own(home).process
    assert docker_up(home, None, print) == docker_up(home, "own", print) == place
    assert own(home).process == process
    with pytest.raises(BadInput, match="This lab uses"):
        docker_up(home, "unix:///elsewhere.sock", print)


def test_labs_side_by_side(tmp_path: Path) -> None:
    """Two labs have two daemons that know nothing of each other's containers, on networks that do not overlap."""
    homes = [tmp_path / "a", tmp_path / "b"]
    try:
        places = [docker_up(home, "own", print) for home in homes]
        for place in places:
            load_docker(place, ["web:1"])
            docker(place, "run", "--detach", "--name", "same", f"{LAB}web:1")
        addresses = {docker(p, "inspect", "--format", "{{.NetworkSettings.Gateway}}", "same") for p in places}
        assert len(addresses) == 2
        docker_down(homes[0])
        assert docker(places[1], "ps", "--quiet")
    finally:
        for home in homes:
            docker_down(home)


def test_only_missing_images_are_loaded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the daemon has is not sent again; a name that means another image is put right."""
    place = docker_up(home, "own", print)
    load_docker(place, ["web:1"])
    sent: list[set[str]] = []
    part = Bundle.part

    def recorded(self: Bundle, references: object) -> bytes:
        names = set(references)  # type: ignore[call-overload]
        sent.append({name.removeprefix(LAB) for name in names})
        return part(self, names)

    monkeypatch.setattr(Bundle, "part", recorded)
    load_docker(place, ["web:1", "hello:1"])
    load_docker(place, ["web:1", "hello:1"])
    docker(place, "tag", f"{LAB}hello:1", f"{LAB}web:1")
    load_docker(place, ["web:1", "hello:1"])
    assert sent == [{"hello:1"}, {"web:1"}]
    wanted = bundle.find().image("web:1").image_id
    assert docker(place, "image", "inspect", "--format", "{{.Id}}", f"{LAB}web:1") == wanted


def test_a_daemon_of_others_gets_back_what_it_was(docker_place: DockerPlace, tmp_path: Path) -> None:
    """On a daemon that is not the lab's, down ends nothing, removes what the lab brought and leaves what was there."""
    docker(docker_place, "rmi", f"{LAB}hello:1")
    before = sorted(docker(docker_place, "images", "--no-trunc").splitlines())
    place = docker_up(tmp_path, docker_place.host, print)
    assert place.kind == "machine"
    load_docker(place, ["hello:1", "web:1"])
    assert docker(place, "run", "--rm", f"{LAB}hello:1")
    docker_down(tmp_path)
    assert sorted(docker(docker_place, "images", "--no-trunc").splitlines()) == before
    load_docker(docker_place, ["hello:1"])


def test_a_named_daemon_that_is_silent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DOCKER_HOST nobody answers at is an error, not a reason to start a daemon; nothing is remembered of it."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(HostUnsuitable, match=r"there is no socket .*none\.sock"):
        docker_up(tmp_path, None, print)
    assert docker_status(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
