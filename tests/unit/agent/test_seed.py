"""Seed runs of one agent: what is asked for, what is shared, what is left when things go wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from limani import wire
from limani.agent import routes, run
from limani.errors import NotEnoughDisk
from tests.unit.agent.harness import Agent, running
from tests.unit.engine.fake import FakeEngine
from tests.unit.engine.samples import layer, sample

MB = 1 << 20
RECEIVED = 'limani_received_bytes_total{source="upload"} '


async def test_missing_layers_are_asked_for(agent: Agent) -> None:
    """Without peers every missing layer is wanted once, uploaded, given to the engine, and the spool is empty again."""
    image = sample("demo/app:1", [layer(MB), layer(1000)])
    async with agent.seeding([image.spec]) as seeding:
        last = await seeding.serve(image.blobs)
    assert isinstance(last, wire.Finished)
    assert last.moved == sum(map(len, image.blobs.values()))
    assert [event.digest for event in seeding.of(wire.Want)] == list(image.blobs)
    assert {event.source for event in seeding.of(wire.BlobDone)} == {"upload"}
    [done] = seeding.of(wire.ImageDone)
    assert (done.reference, done.changed, done.digest) == ("docker.io/demo/app:1", True, image.target.digest)
    assert agent.engine.blobs == image.blobs
    assert agent.spooled() == []


async def test_nothing_to_do(agent: Agent) -> None:
    """An image that is there is done at once: unchanged, no blob moves, no session is opened."""
    image = sample("demo/app:1")
    async with agent.seeding([image.spec]) as seeding:
        await seeding.serve(image.blobs)
    agent.engine.calls.clear()
    async with agent.seeding([image.spec]) as seeding:
        last = await seeding.serve({})
    assert isinstance(last, wire.Finished)
    assert last.moved == 0
    assert [event.changed for event in seeding.of(wire.ImageDone)] == [False]
    assert "session" not in agent.engine.calls


async def test_two_images_share_a_layer(agent: Agent) -> None:
    """A layer two images of a request have in common is asked for once."""
    base = layer(10_000)
    first, second = sample("demo/a:1", [base, layer()]), sample("demo/b:1", [base, layer()])
    async with agent.seeding([first.spec, second.spec]) as seeding:
        last = await seeding.serve({**first.blobs, **second.blobs})
    assert isinstance(last, wire.Finished)
    assert len(seeding.of(wire.Want)) == 3
    assert set(agent.engine.names) == {"docker.io/demo/a:1", "docker.io/demo/b:1"}


async def test_two_runs_share_one_transfer(agent: Agent) -> None:
    """Two callers seed the same image at once: one is asked for the blob, both end well, the bytes moved once."""
    image = sample("demo/app:1", [layer(MB)])
    async with agent.seeding([image.spec]) as first, agent.seeding([image.spec]) as second:
        await first.until(wire.Want)
        waiting = asyncio.create_task(second.serve({}))
        await agent.upload(*next(iter(image.blobs.items())))
        ends = (await first.serve({}), await waiting)
    assert all(isinstance(end, wire.Finished) for end in ends)
    assert sorted(end.moved for end in ends if isinstance(end, wire.Finished)) == [
        0,
        len(next(iter(image.blobs.values()))),
    ]
    assert second.of(wire.Want) == []


async def test_second_run_takes_over(agent: Agent) -> None:
    """When the caller who uploads goes away, the other is asked for the rest, from where the first stopped."""
    image = sample("demo/app:1", [layer(MB)])
    [(digest, data)] = image.blobs.items()
    async with agent.seeding([image.spec]) as second_guard:
        await second_guard.until(wire.Want)
        location, _ = await agent.start_upload(digest)
        assert await agent.append(location, 0, data[:500_000], 500_000) == 202
        async with agent.seeding([image.spec]) as second:
            second_guard.response.close()
            want = await second.until(wire.Want)
            assert want.offset == 500_000
            last = await second.serve(image.blobs) if not await agent.upload(digest, data) else await second.serve({})
    assert isinstance(last, wire.Finished)
    assert last.moved == len(data) - 500_000


async def test_caller_who_goes_away(agent: Agent) -> None:
    """The session ends at once, nothing is named, and the next run goes on where this one was."""
    image = sample("demo/app:1", [layer(MB), layer(10)])
    digest, data = next(iter(image.blobs.items()))
    async with agent.seeding([image.spec]) as seeding:
        await seeding.until(wire.Want)
        location, _ = await agent.start_upload(digest)
        await agent.append(location, 0, data[:300_000], 300_000)
        assert agent.engine.sessions == 1
    async with agent.seeding([image.spec]) as seeding:
        assert agent.engine.names == {}
        wants = {}
        while digest not in wants:
            want = await seeding.until(wire.Want)
            wants[want.digest] = want.offset
        assert wants[digest] == 300_000
    assert digest.removeprefix("sha256:") in agent.spooled()


@pytest.mark.parametrize(("second", "counted"), [("one", MB), ("other", MB - 300_000)], ids=["same-run", "another-run"])
async def test_bytes_of_a_broken_stream(agent: Agent, second: str, counted: int) -> None:
    """What came before a stream broke counts as moved in the next stream of the same run, and in no other run's."""
    image = sample("demo/app:1", [layer(MB, compress=False)])
    [(digest, data)] = image.blobs.items()
    async with agent.seeding([image.spec], run="one") as seeding:
        await seeding.until(wire.Want)
        location, _ = await agent.start_upload(digest)
        await agent.append(location, 0, data[:300_000], 300_000)
    async with agent.seeding([image.spec], run=second) as seeding:
        last = await seeding.serve(image.blobs)
    [done] = seeding.of(wire.BlobDone)
    assert (done.moved, done.source) == (len(data) - MB + counted, "upload")
    assert isinstance(last, wire.Finished)
    assert last.moved == len(data) - 300_000
    async with agent.request("GET", "/metrics") as response:
        [line] = [line for line in (await response.text()).splitlines() if line.startswith(RECEIVED)]
    assert float(line.removeprefix(RECEIVED)) == len(data)


async def test_agent_that_was_killed(tmp_path: Path) -> None:
    """A new process finds what its predecessor received, and asks for the rest only."""
    image = sample("demo/app:1", [layer(MB)])
    [(digest, data)] = image.blobs.items()
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / digest.removeprefix("sha256:")).write_bytes(data[:700_000])
    async with running(tmp_path) as agent, agent.seeding([image.spec]) as seeding:
        last = await seeding.serve(image.blobs)
    assert [event.offset for event in seeding.of(wire.Want)] == [700_000]
    assert isinstance(last, wire.Finished)
    assert last.moved == len(data) - 700_000


async def test_spool_damaged_by_a_crash(tmp_path: Path) -> None:
    """What a predecessor left is not trusted: damaged bytes are thrown away and fetched anew."""
    image = sample("demo/app:1", [layer(1000)])
    [(digest, data)] = image.blobs.items()
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / digest.removeprefix("sha256:")).write_bytes(bytes(len(data)))
    async with running(tmp_path) as agent, agent.seeding([image.spec]) as seeding:
        last = await seeding.serve(image.blobs)
    assert [event.offset for event in seeding.of(wire.Want)] == [0]
    assert isinstance(last, wire.Finished)


async def test_upload_with_a_wrong_byte(agent: Agent) -> None:
    """Bytes that do not have their digest are refused, the engine is left with nothing, and the run says so."""
    image = sample("demo/app:1", [layer(MB)])
    [(digest, data)] = image.blobs.items()
    bad = bytes([data[0] ^ 1]) + data[1:]
    async with agent.seeding([image.spec]) as seeding:
        last = await seeding.serve({digest: bad})
    assert isinstance(last, wire.Failed)
    assert last.error["code"] == "digest_mismatch"
    assert "finish" not in agent.engine.calls
    assert (agent.engine.names, agent.engine.blobs) == ({}, {})
    assert agent.spooled() == []


async def test_upload_that_continues_in_the_wrong_place(agent: Agent) -> None:
    """A chunk that does not start where the upload stands is refused, and the upload can go on."""
    image = sample("demo/app:1", [layer(1000)])
    [(digest, data)] = image.blobs.items()
    async with agent.seeding([image.spec]) as seeding:
        await seeding.until(wire.Want)
        location, _ = await agent.start_upload(digest)
        assert await agent.append(location, 10, data[10:20], 10) == 416
        assert await agent.append(location, 0, data[:10], 10) == 202
        assert await agent.upload(digest, data) == 201
        assert isinstance(await seeding.serve({}), wire.Finished)


async def test_upload_whose_way_died(agent: Agent) -> None:
    """A client that comes back takes its upload over from a connection that will never end."""
    image = sample("demo/app:1", [layer(MB)])
    [(digest, data)] = image.blobs.items()
    silent = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield data[:400_000]
        await silent.wait()

    async with agent.seeding([image.spec]) as seeding:
        await seeding.until(wire.Want)
        location, _ = await agent.start_upload(digest)
        dead = asyncio.create_task(agent.append(location, 0, half(), len(data)))
        while (await agent.start_upload(digest))[1] < 400_000:
            pass  # every question is a round trip
        assert await agent.upload(digest, data) == 201
        last = await seeding.serve({})
        silent.set()
        await asyncio.wait([dead])
        dead.exception()
    assert isinstance(last, wire.Finished)
    assert last.moved == len(data)


async def test_not_enough_disk(tmp_path: Path) -> None:
    """A node whose disk is too small refuses before the first byte, with numbers."""
    image = sample("demo/app:1", [layer(MB)])
    async with running(tmp_path, engine=FakeEngine(free=MB)) as agent:
        with pytest.raises(NotEnoughDisk) as refused:
            async with agent.seeding([image.spec]):
                pass
        assert refused.value.fields["free_bytes"] == MB
        assert refused.value.fields["needed_bytes"] > 2 * MB
        assert agent.engine.sessions == 0
        assert agent.spooled() == []
        plan = await agent.plan(image.spec)
        assert plan.needed > plan.disks[0].free


async def test_engine_that_fails(agent: Agent) -> None:
    """An engine's error ends the run with its own code; what was received is kept for the next run."""
    image = sample("demo/app:1", [layer(1000)])
    agent.engine.gate = asyncio.Event()
    async with agent.seeding([image.spec]) as seeding:
        serving = asyncio.create_task(seeding.serve(image.blobs))
        await agent.engine.put_begun.wait()
        agent.engine.down = True
        agent.engine.gate.set()
        last = await serving
    assert isinstance(last, wire.Failed)
    assert last.error["code"] == "runtime_unavailable"
    assert len(agent.spooled()) == 1
    agent.engine.down = False
    async with agent.seeding([image.spec]) as seeding:
        assert isinstance(await seeding.serve({}), wire.Finished)
    assert [event.source for event in seeding.of(wire.BlobDone)] == ["spool"]


async def test_beats(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has nothing to say still shows that it lives."""
    monkeypatch.setattr(routes, "BEAT_S", 0.02)
    image = sample("demo/app:1")
    async with agent.seeding([image.spec]) as seeding:
        await seeding.until(wire.Beat)
        assert isinstance(await seeding.serve(image.blobs), wire.Finished)


async def test_upload_that_never_comes(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose wanted blobs get no byte for long fails and says which one."""
    monkeypatch.setattr(run, "SILENCE_S", 0.1)
    image = sample("demo/app:1", [layer(1000)])
    async with agent.seeding([image.spec]) as seeding:
        await seeding.until(wire.Want)
        last = await seeding.next()
    assert isinstance(last, wire.Failed)
    assert last.error["code"] == "timed_out"
    assert last.error["fields"]["digest"] in image.blobs


async def test_rate(agent: Agent) -> None:
    """A run with a bandwidth limit takes as long as the limit says."""
    image = sample("demo/app:1", [layer(MB, compress=False)])
    begun = asyncio.get_running_loop().time()
    async with agent.seeding([image.spec], rate=2 * MB) as seeding:
        assert isinstance(await seeding.serve(image.blobs), wire.Finished)
    # A quarter of a second may come as a burst.
    assert asyncio.get_running_loop().time() - begun > 0.24


async def test_moved_tag(agent: Agent) -> None:
    """A tag that pointed elsewhere is moved, and that is a change although no byte moves."""
    layers = [layer()]
    first, second = sample("demo/app:1", layers), sample("demo/app:1", layers, command=["/other"])
    for image in (first, second):
        async with agent.seeding([image.spec]) as seeding:
            await seeding.serve(image.blobs)
    [done] = seeding.of(wire.ImageDone)
    assert done.changed
    assert done.digest == second.target.digest
    assert seeding.of(wire.Want) == []


async def test_pin(agent: Agent) -> None:
    """An image that is there and shall be pinned is changed, once."""
    layers = [layer()]
    plain, pinned = sample("demo/app:1", layers), sample("demo/app:1", layers, pin=True)
    changes = []
    for image in (plain, pinned, pinned):
        async with agent.seeding([image.spec]) as seeding:
            await seeding.serve(image.blobs)
        changes.append([(done.changed, done.pinned) for done in seeding.of(wire.ImageDone)])
    assert changes == [[(True, False)], [(True, True)], [(False, True)]]


async def test_request_that_is_not_one(agent: Agent) -> None:
    """Bad documents and bad references are refused with 400 before anything is asked of the engine."""
    for body in (b"", b"{", b'{"images": 1}', b'{"images": [], "extra": 1}', os.urandom(100)):
        async with agent.request("POST", "/limani/v1/seed", data=body) as response:
            assert response.status == 400, body
    spec = wire.ImageSpec("NOT A NAME", sample("demo/app:1").spec.documents)
    async with agent.request(
        "POST", "/limani/v1/seed", data=msgspec.json.encode(wire.SeedRequest((spec,)))
    ) as response:
        assert response.status == 400
    assert set(agent.engine.calls) <= {"clean"}
