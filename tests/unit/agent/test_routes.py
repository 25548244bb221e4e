"""The small routes: status, inventory, plan, remove, pin, health, metrics, logs."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from limani import wire
from limani.agent import log, middleware
from limani.agent.main import settings
from limani.errors import BadInput
from limani.image import digest as digests
from tests.unit.agent.harness import HEADERS, TOKEN, Agent, running, tls
from tests.unit.engine.samples import layer, sample


async def seed(agent: Agent, *names: str) -> None:
    for name in names:
        image = sample(name)
        async with agent.seeding([image.spec]) as seeding:
            await seeding.serve(image.blobs)


async def test_status(agent: Agent) -> None:
    """The agent says who it is, what it speaks, and how to reach and recognise it."""
    status = await agent.ask("GET", "/limani/v1/status", wire.Status)
    assert (status.protocol, status.node, status.fingerprint) == (wire.PROTOCOL, "n1", tls().fingerprint)
    assert status.engine.ok
    assert status.engines == (status.engine,)
    assert status.platform.startswith("linux/")


async def test_inventory(agent: Agent) -> None:
    """All images of the engine asked for; an engine the node does not have is named."""
    await seed(agent, "demo/a:1", "demo/b:1")
    found = await agent.ask("GET", "/limani/v1/images", wire.Inventory)
    assert [image.references for image in found.images] == [("docker.io/demo/a:1",), ("docker.io/demo/b:1",)]
    assert await agent.ask("GET", "/limani/v1/images?engine=containerd", wire.Inventory) == found
    with pytest.raises(BadInput, match="docker"):
        await agent.ask("GET", "/limani/v1/images?engine=docker", wire.Inventory)


async def test_plan_changes_nothing(agent: Agent) -> None:
    """A plan names what is missing and what it needs; no session is opened, no file is made."""
    image = sample("demo/app:1")
    plan = await agent.plan(image.spec)
    [answer] = plan.images
    assert [blob.digest for blob in answer.missing] == list(image.blobs)
    assert plan.needed > sum(blob.size for blob in answer.missing)
    assert plan.peer is None
    assert "session" not in agent.engine.calls
    assert agent.spooled() == []


async def test_plan_counts_what_has_arrived(agent: Agent) -> None:
    """What an earlier run has left in the spool need not travel again, and a plan says so."""
    image = sample("demo/app:1", [layer(100_000, compress=False)])
    [(digest, data)] = image.blobs.items()
    async with agent.seeding([image.spec]) as seeding:
        await seeding.until(wire.Want)
        location, _ = await agent.start_upload(digest)
        await agent.append(location, 0, data[:40_000], 40_000)
    [blob] = (await agent.plan(image.spec)).images[0].missing
    assert (blob.digest, blob.size, blob.here) == (digest, len(data), 40_000)


async def test_remove(agent: Agent) -> None:
    """Each reference has its own result: removed, not there, in use, not a name."""
    await seed(agent, "demo/a:1", "demo/b:1")
    agent.engine.used["docker.io/demo/b:1"] = ("pod",)
    request = wire.RemoveRequest(("demo/a:1", "demo/none:1", "demo/b:1", "NOT A NAME"))
    answer = await agent.ask("POST", "/limani/v1/remove", wire.RemoveAnswer, request)
    assert [(result.changed, result.error.get("code")) for result in answer.results] == [
        (True, None),
        (False, None),
        (False, "image_in_use"),
        (False, "reference_invalid"),
    ]
    forced = wire.RemoveRequest(("demo/b:1",), force=True)
    assert (await agent.ask("POST", "/limani/v1/remove", wire.RemoveAnswer, forced)).results[0].changed


async def test_pin(agent: Agent) -> None:
    """Pins are set once and taken off once; what is not there is named."""
    await seed(agent, "demo/a:1")
    changes = []
    for pinned in (True, True, False):
        request = wire.PinRequest(("demo/a:1", "demo/none:1"), pinned)
        answer = await agent.ask("POST", "/limani/v1/pin", wire.RemoveAnswer, request)
        changes.append(answer.results[0].changed)
        assert answer.results[1].error["code"] == "image_not_found"
    assert changes == [True, False, True]


async def test_health(agent: Agent) -> None:
    """Health and readiness need no token; an agent whose runtime is down lives and is not ready."""
    for path in ("/healthz", "/readyz"):
        async with agent.request("GET", path, headers={}) as response:
            assert response.status == 200
    agent.engine.down = True
    for path, status in (("/healthz", 200), ("/readyz", 503)):
        async with agent.request("GET", path, headers={}) as response:
            assert response.status == status


@pytest.mark.parametrize(("size", "ends"), [(middleware.BULK, False), (middleware.BULK + 1, True)])
async def test_connections_end_after_bulk(agent: Agent, size: int, ends: bool) -> None:
    """A connection much has passed over is not kept: its buffers would stay as large as its largest piece."""
    digest = digests.of(bytes(size))
    async with agent.request("POST", "/v2/demo/blobs/uploads/") as response:
        location = response.headers["Location"]
    headers = HEADERS | {"Content-Range": f"0-{size - 1}"}
    async with agent.request("PATCH", location, headers=headers, data=io.BytesIO(bytes(size))) as response:
        assert response.status == 202
        assert (response.headers.get("Connection") == "close") is ends
    assert await agent.finish(location, digest) == 201


async def test_metrics(agent: Agent) -> None:
    """What moved is counted by kind."""
    image = sample("demo/app:1")
    async with agent.seeding([image.spec]) as seeding:
        await seeding.serve(image.blobs)
    async with agent.request("GET", "/metrics") as response:
        text = await response.text()
    assert f'limani_received_bytes_total{{source="upload"}} {float(sum(map(len, image.blobs.values())))}' in text
    assert 'limani_blobs_total{source="upload"} 2.0' in text
    assert 'limani_auth_verdicts_total{verdict="allowed"}' in text


async def test_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every request is a line with user, verb, node, what and status; no line contains a token or a grant."""
    caplog.set_level(logging.INFO, "limani.agent")
    image = sample("demo/app:1")
    async with running(tmp_path) as agent:
        peer = await agent.peer(image.spec)
        async with agent.seeding([image.spec]) as seeding:
            await seeding.serve(image.blobs)
        async with agent.request(
            "GET", f"/v2/x/blobs/{next(iter(image.blobs))}", headers={"X-Limani-Grant": peer.grant}
        ):
            pass
    lines = [json.loads(log._Json().format(record)) for record in caplog.records if record.name == "limani.agent"]
    seeds = [line for line in lines if line.get("path") == "/limani/v1/seed"]
    assert seeds[0]["user"] == "tester"
    assert (seeds[0]["verb"], seeds[0]["node"], seeds[0]["status"]) == ("create", "n1", 200)
    assert seeds[0]["references"] == ["demo/app:1"]
    text = json.dumps(lines)
    assert TOKEN not in text
    assert peer.grant not in text


def test_settings() -> None:
    """A flag wins over its variable, the variable over the default."""
    assert settings([], {}).port == "7443"
    assert settings([], {"LIMANI_PORT": "1", "LIMANI_NODE": "a"}).node == "a"
    assert settings(["--port", "2"], {"LIMANI_PORT": "1"}).port == "2"
