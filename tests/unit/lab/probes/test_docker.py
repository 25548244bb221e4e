"""The probes of containers and images, against a daemon made of plain data."""

from __future__ import annotations

from typing import Any

import pytest

from limani.lab.probes import docker as probes
from limani.lab.record import Finding, Status
from limani.lab.texts import render
from tests.unit.lab.probes.docker_double import Client, Container, Image, world

WEB = {"limani.dev/lab/web:1": Image("sha256:1")}
HELD = "driver failed: Bind for 127.0.0.1:8080 failed: port is already allocated"
BUSY = "Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use"
BUSY_29 = "failed to bind host port 127.0.0.1:8080/tcp: address already in use"


def told(finding: Finding) -> str:
    """What is found, in both languages: a message without its values would raise here."""
    render(finding.found, "el")
    render(finding.wanted, "el")
    return render(finding.found, "en")


async def test_runs() -> None:
    """A container that has been up for a while, of the image wanted, passes."""
    finding = await probes.running(
        world(Client(Container(), images=WEB)), container="box", image="limani.dev/lab/web:1"
    )
    assert finding.status == Status.PASS
    assert told(finding) == "the container box runs"


async def test_no_container() -> None:
    """A container that does not exist is told as such."""
    finding = await probes.running(world(Client()), container="box")
    assert (finding.status, finding.cause) == (Status.FAIL, "missing")


@pytest.mark.parametrize(
    ("container", "cause", "words"),
    [
        (Container(status="exited", code=0), "ended", "exit code 0; it wrote nothing"),
        (Container(status="exited", code=127, log=b"a\nsh: serv: not found\n"), "bad-command", "sh: serv: not found"),
        (Container(status="exited", code=3), "crashed", "exit code 3"),
        (Container(status="exited", code=143), "stopped", "143"),
        (Container(status="exited", code=137), "killed", "137"),
        (Container(status="exited", code=137, oom=True), "oom-killed", "memory limit"),
        (Container(status="exited", code=137, announced=[{"status": "oom"}]), "oom-killed", "memory limit"),
        (Container(status="created"), "not-started", "never started"),
        (Container(status="paused"), "paused", "paused"),
        (Container(status="created", error=BUSY), "port-process", "port 8080"),
        (Container(status="created", error=BUSY_29), "port-process", "port 8080"),
        (Container(status="created", error='exec: "serv": executable file not found in $PATH'), "bad-command", "serv"),
        (Container(status="created", error="no space left on device"), "start-failed", "no space left"),
    ],
)
async def test_why_it_does_not_run(container: Container, cause: str, words: str) -> None:
    """Each way of not running is recognised, and its message holds the fact that matters."""
    finding = await probes.running(world(Client(container)), container="box")
    assert (finding.status, finding.cause) == (Status.FAIL, cause)
    assert words in told(finding)


async def test_who_has_the_port() -> None:
    """Where another container has published the port, that one is named."""
    other = Container(name="other", ports={"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]})
    mine = Container(status="created", error=HELD)
    finding = await probes.running(world(Client(mine, other)), container="box")
    assert finding.cause == "port-taken"
    assert told(finding).endswith("port 8080 belongs to the container other")


async def test_ends_again_at_once() -> None:
    """A container seen in one of the short moments in which it runs is not taken for one that stays up."""
    container = Container(age=0.01, policy="always", restarts=4, later=[{"status": "restarting", "code": 127}])
    finding = await probes.running(world(Client(container)), container="box")
    assert finding.cause == "bad-command"
    assert "each time Docker starts it again" in told(finding)


async def test_just_restarted() -> None:
    """A container whose restart is under way is waited for."""
    container = Container(status="restarting", restarts=1, later=[{"status": "running", "age": 60}])
    assert (await probes.running(world(Client(container)), container="box")).status == Status.PASS


@pytest.mark.parametrize(("named", "cause"), [("limani.dev/lab/web:1", "older-build"), ("other:1", "other-image")])
async def test_image_of_the_container(named: str, cause: str) -> None:
    """A container of another image, or of what the name stood for earlier, does not pass."""
    container = Container(image="sha256:0", named=named)
    client = Client(container, images=WEB)
    finding = await probes.running(world(client), container="box", image="limani.dev/lab/web:1")
    assert (finding.status, finding.cause) == (Status.FAIL, cause)
    assert told(finding)


@pytest.mark.parametrize(
    ("codes", "events", "cause"),
    [([0], [], None), ([1], [0], None), ([], [0], None), ([1], [], "exit-code"), ([], [], "never-ran")],
)
async def test_ran(codes: list[int], events: list[int], cause: str | None) -> None:
    """A container that ran counts while it is kept, and by the daemon's memory when it was removed."""
    client = Client(*[Container(name=f"c{n}", status="exited", code=code) for n, code in enumerate(codes)])
    client.died = [{"Actor": {"Attributes": {"exitCode": str(code)}}} for code in events]
    finding = await probes.ran(world(client), image="hello:1")
    assert (finding.status, finding.cause) == (Status.FAIL if cause else Status.PASS, cause)
    assert told(finding)


def place(address: str, port: str = "8080") -> dict[str, str]:
    """Where the daemon says a port is published."""
    return {"HostIp": address, "HostPort": port}


@pytest.mark.parametrize(
    ("places", "cause"),
    [
        ([place("127.0.0.1")], None),
        ([place("127.0.0.5"), place("::1")], None),
        ([place("0.0.0.0"), place("::")], "all-interfaces"),
        ([place("")], "all-interfaces"),
        ([place("127.0.0.1"), place("192.0.2.7")], "all-interfaces"),
        ([place("127.0.0.1", "9090")], "other-host-port"),
        ([], "not-published"),
    ],
)
async def test_published(places: list[dict[str, str]], cause: str | None) -> None:
    """Only addresses of this machine for itself count as loopback, and all of them must be such."""
    client = Client(Container(ports={"8080/tcp": places or None}))
    finding = await probes.published(world(client), container="box", host_port=8080)
    assert (finding.status, finding.cause) == (Status.FAIL if cause else Status.PASS, cause)
    assert told(finding)


@pytest.mark.parametrize(("log", "status"), [(b"a\n/order-1 404\n", Status.PASS), (b"/order-2 404\n", Status.FAIL)])
async def test_logs(log: bytes, status: Status) -> None:
    """The text must be in the log."""
    finding = await probes.logs_hold(world(Client(Container(log=log))), container="box", text="/order-1")
    assert finding.status == status
    assert told(finding)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"policy": "always", "restarts": 1}, None),
        ({"policy": "always", "later": [{"restarts": 1}]}, None),
        ({"policy": "always"}, "not-restarted"),
        ({"policy": "no", "restarts": 3}, "no-policy"),
        ({"policy": ""}, "no-policy"),
    ],
)
async def test_restarted(given: dict[str, Any], cause: str | None) -> None:
    """Only restarts by a policy count; one that is under way is waited for."""
    finding = await probes.restarted(world(Client(Container(**given))), container="box")
    assert (finding.status, finding.cause) == (Status.FAIL if cause else Status.PASS, cause)
    assert told(finding)


@pytest.mark.parametrize(
    ("layers", "cause"),
    [(("base", "mine"), None), (("base",), "nothing-added"), (("other", "mine"), "other-base"), (None, "no-image")],
)
async def test_built_on(layers: tuple[str, ...] | None, cause: str | None) -> None:
    """An image is built on another when it has that one's layers first and some of its own after them."""
    images = {"base:1": Image()} | ({"mine": Image(layers=layers)} if layers else {})
    finding = await probes.built_on(world(Client(images=images)), image="mine", base="base:1")
    assert (finding.status, finding.cause) == (Status.FAIL if cause else Status.PASS, cause)
    assert told(finding)
