"""Agents that fetch from each other."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from limani import wire
from limani.agent import blobs, peers
from tests.unit.agent.harness import Agent, running, tls
from tests.unit.engine.fake import FakeEngine
from tests.unit.engine.samples import layer, sample

MB = 1 << 20


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[list[Agent]]:
    """Three agents."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running(tmp_path, f"n{number}")) for number in (1, 2, 3)]


@asynccontextmanager
async def strange_peer(answer: object) -> AsyncIterator[wire.Peer]:
    """A peer that answers every GET of a blob by ``answer(request)``."""
    app = web.Application()
    app.router.add_get("/v2/{tail:.*}", answer)  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls().context).start()
    try:
        yield wire.Peer("strange", f"https://127.0.0.1:{runner.addresses[0][1]}", tls().fingerprint, "grant")
    finally:
        await runner.cleanup()


async def test_chain(three: list[Agent]) -> None:
    """Three nodes lack an image: its bytes are uploaded once, to the first, and passed on from node to node."""
    image = sample("demo/app:1", [layer(2 * MB), layer(1000)])
    known = [await agent.peer(image.spec) for agent in three]
    async with AsyncExitStack() as stack:
        runs = [
            await stack.enter_async_context(agent.seeding([image.spec], known[:number][::-1]))
            for number, agent in enumerate(three)
        ]
        ends = await asyncio.gather(*(run.serve(image.blobs) for run in runs))
    assert all(isinstance(end, wire.Finished) for end in ends)
    assert [len(run.of(wire.Want)) for run in runs] == [2, 0, 0]
    assert [{done.source for done in run.of(wire.BlobDone)} for run in runs] == [{"upload"}, {"n1"}, {"n2"}]
    assert all(agent.engine.blobs == image.blobs for agent in three)


async def test_passed_on_while_it_arrives(three: list[Agent]) -> None:
    """A node passes on what it has of a blob before it has all of it."""
    image = sample("demo/app:1", [layer(2 * MB, compress=False)])
    [(digest, data)] = image.blobs.items()
    first, second = three[:2]
    peer = await first.peer(image.spec)
    async with first.seeding([image.spec]) as one, second.seeding([image.spec], [peer]) as two:
        await one.until(wire.Want)
        location, _ = await first.start_upload(digest)
        await first.append(location, 0, data[:MB], MB)
        progress = await two.until(wire.Progress)
        assert 0 < progress.received <= MB
        await first.append(location, MB, data[MB:], len(data) - MB)
        await first.finish(location, digest)
        ends = await asyncio.gather(one.serve({}), two.serve({}))
    assert all(isinstance(end, wire.Finished) for end in ends)


async def test_run_that_begins_before_its_peers(three: list[Agent]) -> None:
    """A node asked for a granted blob before its own run has begun waits for the run instead of refusing."""
    image = sample("demo/app:1", [layer(1000)])
    first, second = three[:2]
    peer = await first.peer(image.spec)
    async with second.seeding([image.spec], [peer]) as two:
        serving = asyncio.create_task(two.serve({}))
        async with first.seeding([image.spec]) as one:
            ends = await asyncio.gather(one.serve(image.blobs), serving)
    assert all(isinstance(end, wire.Finished) for end in ends)
    assert [done.source for done in two.of(wire.BlobDone)] == ["n1"]


async def test_peer_that_never_begins(three: list[Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for a peer's run is bounded; then the caller is asked."""
    monkeypatch.setattr(blobs, "PATIENCE_S", 0.05)
    image = sample("demo/app:1", [layer(1000)])
    peer = await three[0].peer(image.spec)
    async with three[1].seeding([image.spec], [peer]) as seeding:
        assert isinstance(await seeding.serve(image.blobs), wire.Finished)
    assert len(seeding.of(wire.Want)) == 1


async def test_peer_that_holds_the_blob(three: list[Agent]) -> None:
    """A node that has an image serves it from its engine."""
    image = sample("demo/app:1")
    async with three[0].seeding([image.spec]) as seeding:
        await seeding.serve(image.blobs)
    peer = await three[0].peer(image.spec, only=tuple(image.blobs))
    async with three[1].seeding([image.spec], [peer]) as seeding:
        assert isinstance(await seeding.serve({}), wire.Finished)
    assert {done.source for done in seeding.of(wire.BlobDone)} == {"n1"}


async def test_engine_that_serves_no_blobs(tmp_path: Path) -> None:
    """A node whose engine gives no blobs back still passes them on, as long as a grant names them."""
    image = sample("demo/app:1", [layer(1000)])
    docker = FakeEngine(keeps_blobs=False)
    async with running(tmp_path, "d1", engine=docker) as first, running(tmp_path, "n2") as second:
        peer = await first.peer(image.spec)
        async with first.seeding([image.spec]) as one:
            await one.serve(image.blobs)
        async with second.seeding([image.spec], [peer]) as two:
            assert isinstance(await two.serve({}), wire.Finished)
        assert [done.source for done in two.of(wire.BlobDone)] == ["d1"]


async def test_peer_that_flips_a_byte(three: list[Agent]) -> None:
    """Damaged bytes are refused on the node that gets them, which turns to the next peer; no engine sees them."""
    image = sample("demo/app:1", [layer(MB)])
    [data] = image.blobs.values()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=io.BytesIO(data[:-1] + bytes([data[-1] ^ 1])))

    async with three[0].seeding([image.spec]) as seeding:
        await seeding.serve(image.blobs)
    good = await three[0].peer(image.spec)
    async with strange_peer(answer) as bad, three[1].seeding([image.spec], [bad, good]) as seeding:
        last = await seeding.serve({})
    assert isinstance(last, wire.Finished)
    assert [done.source for done in seeding.of(wire.BlobDone)] == ["n1"]
    assert three[1].engine.blobs == image.blobs


async def test_peer_that_breaks_off(three: list[Agent]) -> None:
    """A transfer that breaks is gone on with at another peer, from where it broke."""
    image = sample("demo/app:1", [layer(2 * MB, compress=False)])
    [data] = image.blobs.values()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(data))})
        await response.prepare(request)
        if "Range" not in request.headers:
            await response.write(data[:MB])
        assert request.transport is not None
        request.transport.close()
        return response

    async with three[0].seeding([image.spec]) as seeding:
        await seeding.serve(image.blobs)
    good = await three[0].peer(image.spec)
    async with strange_peer(answer) as bad, three[1].seeding([image.spec], [bad, good]) as seeding:
        last = await seeding.serve({})
    assert isinstance(last, wire.Finished)
    assert last.moved <= 1.1 * len(data)


async def test_all_peers_fail(three: list[Agent]) -> None:
    """When no peer can help, the caller is asked for what is still lacking."""
    image = sample("demo/app:1", [layer(1000)])
    nobody = wire.Peer("gone", "https://127.0.0.1:1", tls().fingerprint, "grant")
    async with three[0].seeding([image.spec], [nobody]) as seeding:
        assert isinstance(await seeding.serve(image.blobs), wire.Finished)
    assert [done.source for done in seeding.of(wire.BlobDone)] == ["upload"]


async def test_wrong_certificate(three: list[Agent]) -> None:
    """A peer whose certificate is not the one announced gets no request."""
    image = sample("demo/app:1", [layer(1000)])
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(body=next(iter(image.blobs.values())))

    async with strange_peer(answer) as peer:
        forged = wire.Peer(peer.node, peer.url, "00" * 32, peer.grant)
        async with three[0].seeding([image.spec], [forged]) as seeding:
            assert isinstance(await seeding.serve(image.blobs), wire.Finished)
    assert asked == []
    assert [done.source for done in seeding.of(wire.BlobDone)] == ["upload"]


async def test_silent_peer_that_lives(three: list[Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that says nothing because it waits itself is waited for, as long as it answers otherwise."""
    monkeypatch.setattr(peers, "QUIET_S", 0.05)
    image = sample("demo/app:1", [layer(1000)])
    first, second = three[:2]
    peer = await first.peer(image.spec)
    async with first.seeding([image.spec]) as one, second.seeding([image.spec], [peer]) as two:
        await one.until(wire.Want)
        serving = asyncio.create_task(two.serve({}))
        await asyncio.sleep(0.3)  # several times QUIET_S
        assert not serving.done()
        assert two.of(wire.Want) == []
        await first.upload(*next(iter(image.blobs.items())))
        ends = await asyncio.gather(one.serve({}), serving)
    assert all(isinstance(end, wire.Finished) for end in ends)
    assert [done.source for done in two.of(wire.BlobDone)] == ["n1"]


async def test_silent_peer_that_is_dead(three: list[Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that says nothing and does not answer for its health is given up."""
    monkeypatch.setattr(peers, "QUIET_S", 0.05)
    image = sample("demo/app:1", [layer(1000)])

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with strange_peer(answer) as bad, three[0].seeding([image.spec], [bad]) as seeding:
        assert isinstance(await seeding.serve(image.blobs), wire.Finished)
    assert len(seeding.of(wire.Want)) == 1
