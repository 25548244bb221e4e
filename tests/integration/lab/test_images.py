"""The images of the lessons behave as the lessons say, in a real Docker daemon."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.lab import build
from limani.lab import bundle
from limani.lab.place.docker import DockerPlace
from tests.integration.lab.daemons import docker

pytestmark = pytest.mark.integration
LAB = "limani.dev/lab/"


@contextlib.contextmanager
def container(place: DockerPlace, *arguments: str) -> Iterator[str]:
    """A container in the background, removed afterwards; its name."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    docker(place, "run", "--detach", "--name", name, *arguments)
    try:
        yield name
    finally:
        docker(place, "rm", "--force", name)


def inspect(place: DockerPlace, name: str, field: str) -> str:
    """A field of ``docker inspect``."""
    return docker(place, "inspect", "--format", f"{{{{{field}}}}}", name)


def address(place: DockerPlace, name: str) -> str:
    """The container's address on its bridge, which this machine reaches."""
    return inspect(place, name, ".NetworkSettings.IPAddress")


def get(host: str, path: str = "/", port: int = 8080) -> tuple[int, str]:
    """Status and body of a request; waits for the port to open, since a container has no event for that."""
    deadline = time.monotonic() + 10
    while True:
        connection = http.client.HTTPConnection(host, port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
        finally:
            connection.close()


def test_hello_greets_in_both_languages(docker_place: DockerPlace) -> None:
    """hello:1 prints an English and a Greek line and ends with 0."""
    lines = docker(docker_place, "run", "--rm", f"{LAB}hello:1").splitlines()
    assert lines == ["Hello from a container!", "Γεια σας από ένα container!"]


@pytest.mark.parametrize("version", ["1", "2"])
def test_web_says_who_it_is(docker_place: DockerPlace, version: str) -> None:
    """web:N answers with version, host and token as nobody on a read-only file system; one log line a request."""
    with container(
        docker_place, "--read-only", "--env", "TOKEN=t0ken", "--hostname", "here", f"{LAB}web:{version}"
    ) as name:
        at = address(docker_place, name)
        assert get(at) == (200, f"version {version}\nhost here\ntoken t0ken\n")
        assert get(at, "/healthz") == (200, "ok\n")
        assert get(at, "/nothing")[0] == 404
        assert docker(docker_place, "exec", name, "id", "-u") == "65534"
        log = [line.split(" ", 1)[1] for line in docker(docker_place, "logs", name).splitlines()]
        assert log == ["/ 200", "/healthz 200", "/nothing 404"]


def test_web_without_token_shows_none(docker_place: DockerPlace) -> None:
    """Without TOKEN there is no such line, and the host is the container's own name."""
    with container(docker_place, f"{LAB}web:1") as name:
        host = inspect(docker_place, name, ".Config.Hostname")
        assert get(address(docker_place, name)) == (200, f"version 1\nhost {host}\n")


def test_web_stops_at_once_although_a_client_idles(docker_place: DockerPlace) -> None:
    """SIGTERM ends PID 1 with code 0 within a second, also while somebody is connected and asks nothing."""
    with container(docker_place, f"{LAB}web:1") as name:
        at = address(docker_place, name)
        get(at)
        with socket.create_connection((at, 8080)):
            begun = time.monotonic()
            docker(docker_place, "stop", "--time", "9", name)
            assert time.monotonic() - begun < 2  # 0.8 s for the client, and Docker's own
        assert inspect(docker_place, name, ".State.ExitCode") == "0"


def test_web_lingers_and_loses_no_request(docker_place: DockerPlace) -> None:
    """With LINGER it goes on serving that long after SIGTERM; every request before the end is answered."""
    with container(docker_place, "--env", "LINGER=2", f"{LAB}web:1") as name:
        at = address(docker_place, name)
        get(at)
        begun = time.monotonic()
        stopping = threading.Thread(target=docker, args=(docker_place, "stop", "--time", "9", name))
        stopping.start()
        answered = 0
        while time.monotonic() - begun < 1.5:
            assert get(at)[0] == 200
            answered += 1
        stopping.join()
        assert answered > 10
        assert time.monotonic() - begun >= 2
        assert inspect(docker_place, name, ".State.ExitCode") == "0"


def test_client_fetches_from_inside(docker_place: DockerPlace) -> None:
    """client:1 makes a request and tells status line and body, or in one line why there is no answer; names work."""
    docker(docker_place, "network", "create", "fetch")
    try:
        with (
            container(docker_place, "--network", "fetch", "--network-alias", "shop", f"{LAB}web:2") as web,
            container(docker_place, "--network", "fetch", f"{LAB}client:1") as client,
        ):

            def fetch(url: str) -> list[str]:
                text = docker(docker_place, "exec", client, "wget", "-qO-", f"http://127.0.0.1:8080/?url={url}")
                return text.splitlines()

            host = inspect(docker_place, web, ".Config.Hostname")
            assert fetch("http://shop:8080/") == ["HTTP/1.1 200 OK", "version 2", f"host {host}"]
            assert fetch("http%3A%2F%2Fshop%3A8080%2Fhealthz") == ["HTTP/1.1 200 OK", "ok"]
            assert fetch("http://shop:8080/no")[0] == "HTTP/1.1 404 Not Found"
            assert fetch("http://shop:81/")[0].startswith("error: can't connect")
            assert len(fetch("ftp://shop/")) == len(fetch("http://127.0.0.1:9/")) == 1
            assert docker(docker_place, "exec", client, "wget", "-qO-", "http://shop:8080/healthz") == "ok"
    finally:
        docker(docker_place, "network", "rm", "fetch")


def test_an_image_is_built_on_shell_without_a_registry(docker_place: DockerPlace, tmp_path: Path) -> None:
    """A Dockerfile on shell:1 with COPY, RUN and CMD is built and runs; the image carries the lab's label on."""
    (tmp_path / "say").write_text('#!/bin/sh\necho "built by $(cat /who)"\n')
    (tmp_path / "say").chmod(0o755)
    lines = [f"FROM {LAB}shell:1", "COPY say /usr/local/bin/say", "RUN whoami >/who", 'CMD ["say"]']
    (tmp_path / "Dockerfile").write_text("\n".join(lines))
    tag = f"test-{uuid.uuid4().hex[:8]}"
    docker(docker_place, "build", "--tag", tag, str(tmp_path))
    try:
        assert docker(docker_place, "run", "--rm", tag) == "built by root"
        labels = json.loads(docker(docker_place, "inspect", "--format", "{{json .Config.Labels}}", tag))
        assert labels == {"limani.dev/bundle": "lab"}
    finally:
        docker(docker_place, "rmi", tag)


def test_images_share_a_layer(docker_place: DockerPlace) -> None:
    """All images have the same first layer, so five of them take little more room than one."""
    names = [f"{LAB}{name}" for name in ("shell:1", "hello:1", "web:1", "web:2", "client:1")]
    first = {docker(docker_place, "inspect", "--format", "{{index .RootFS.Layers 0}}", name) for name in names}
    assert len(first) == 1


def test_the_same_bytes_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built again from the packages, without what is kept of the last time, the archive has the same digest."""
    first = bundle.sha256(build.build())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    again = build.build()
    assert again.is_relative_to(tmp_path)
    assert bundle.sha256(again) == first
    assert again.stat().st_size < 5_000_000
