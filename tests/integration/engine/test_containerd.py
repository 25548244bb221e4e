"""The containerd engine on a real containerd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from limani.engine.containerd.engine import ARRIVING, Containerd
from limani.engine.containerd.session import AGENT_LABEL
from limani.errors import ImageInUse, RuntimeUnavailable
from tests.integration.engine.daemons import Daemon
from tests.unit.engine.conformance import EngineConformance, being_put, broken_off, missing, named, put
from tests.unit.engine.samples import Arrival, arrived, layer, sample

pytestmark = pytest.mark.integration

MB = 1 << 20


def ctr(daemon: Daemon, *words: str, namespace: str = "k8s.io") -> str:
    """containerd's own client: what an independent eye sees."""
    command = [str(daemon.binaries / "ctr"), "--address", daemon.socket, "--namespace", namespace, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
async def engine(containerd_daemon: Daemon) -> AsyncIterator[Containerd]:
    """The engine over a real containerd."""
    found = Containerd(containerd_daemon.socket, owner="test", disks=(str(containerd_daemon.folder),))
    yield found
    await found.close()


async def sending(daemon: Daemon, task: asyncio.Task[object]) -> None:
    """Return when containerd has begun to receive a blob (it announces nothing, so it is asked again and again)."""
    while not (await asyncio.to_thread(ctr, daemon, "content", "active")).splitlines()[1:]:
        assert not task.done(), "the import was over before it could be disturbed"


def leases(daemon: Daemon) -> str:
    return "\n".join(ctr(daemon, "leases", "ls").splitlines()[1:])


class TestContainerd(EngineConformance):
    """The conformance suite."""


async def test_what_others_see(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path) -> None:
    """containerd's own tool shows the image under its name with the source's digest, complete and unpacked."""
    image = sample(named(), index=True)
    await put(engine, image, tmp_path)
    name = str(image.target.reference)
    listed = next(line for line in ctr(containerd_daemon, "images", "ls").splitlines() if line.startswith(f"{name} "))
    assert image.target.digest in listed
    assert "io.cri-containerd.image=managed" in listed
    checked = ctr(containerd_daemon, "images", "check", f"name=={name}")
    assert "complete" in checked
    assert checked.rstrip().endswith("true")


async def test_container_starts(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path) -> None:
    """A container runs from the imported image and prints what the image's file says."""
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        pytest.skip("busybox is not installed")
    files = {"bin/busybox": busybox.read_bytes(), "hello": b"from the harbour\n"}
    image = sample(named(), [layer(files=files)])
    await put(engine, image, tmp_path)
    name = str(image.target.reference)
    # No cgroup of its own and the host's network: the test needs the image's files, not a sandbox.
    out = await asyncio.to_thread(
        ctr,
        containerd_daemon,
        "run",
        "--rm",
        "--net-host",
        name,
        f"t{os.urandom(4).hex()}",
        "/bin/busybox",
        "cat",
        "/hello",
    )
    assert out == "from the harbour\n"


async def test_nothing_is_left_behind(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path) -> None:
    """After imports, a broken-off import and removals there is no lease, no ingest, no blob and no snapshot more."""

    def everything() -> list[str]:
        return [
            ctr(containerd_daemon, *words) for words in (("leases", "ls"), ("content", "active"), ("snapshots", "ls"))
        ] + ["\n".join(sorted(ctr(containerd_daemon, "content", "ls", "-q").splitlines()))]

    before = everything()
    image, broken = sample(named()), sample(named())
    await put(engine, image, tmp_path)
    files = broken.files(tmp_path)
    with pytest.raises(ZeroDivisionError):
        await broken_off(engine, broken.target, files)
    await engine.remove(str(image.target.reference))
    assert everything() == before


async def test_cancelled_while_sending(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path) -> None:
    """An import that is cancelled in the middle of a blob leaves neither lease nor ingest nor name."""
    image = sample(named(), [layer(64 * MB, compress=False)])
    files = image.files(tmp_path)
    started = asyncio.Event()

    async def run() -> None:
        async with engine.session(image.target) as session:
            [first] = image.target.layers
            started.set()
            await session.put_blob(first, arrived(files[first.descriptor.digest]))
            await session.finish()

    task = asyncio.create_task(run())
    await started.wait()
    await sending(containerd_daemon, task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert leases(containerd_daemon) == ""
    assert ctr(containerd_daemon, "content", "active").splitlines()[1:] == []
    assert (await engine.plan(image.target)).state == "absent"


async def test_cancelled_while_a_blob_arrives(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path) -> None:
    """An import whose blob stops in the middle can be cancelled at once, and leaves neither lease nor ingest."""
    image = sample(named(), [layer(2 * MB, compress=False)])
    [first], [data] = image.target.layers, image.blobs.values()
    blob = Arrival(tmp_path / "blob", len(data))

    async def run() -> None:
        async with engine.session(image.target) as session:
            await session.put_blob(first, blob)

    task = asyncio.create_task(run())
    blob.add(data[: len(data) // 2])
    await sending(containerd_daemon, task)
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert leases(containerd_daemon) == ""
    assert ctr(containerd_daemon, "content", "active").splitlines()[1:] == []


async def test_blob_that_is_thrown_away_while_it_is_sent(
    engine: Containerd, containerd_daemon: Daemon, tmp_path: Path
) -> None:
    """When what containerd has begun to take turns out to be damaged, it takes the blob anew."""
    async with being_put(engine, tmp_path) as (putting, blob, data):
        blob.add(b"x" * len(data))
        await sending(containerd_daemon, putting)
        blob.rewind()
        blob.add(data)
        blob.verify()
    assert ctr(containerd_daemon, "content", "active").splitlines()[1:] == []


async def test_more_blobs_than_are_written_while_they_arrive(engine: Containerd, tmp_path: Path) -> None:
    """Blobs that come very slowly hold nobody up whose blob is there."""
    slow = [sample(named(), [layer(2 * MB, compress=False)]) for _ in range(ARRIVING + 2)]
    fast = sample(named())
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(60):
        sessions = [await stack.enter_async_context(engine.session(image.target)) for image in slow]
        data = [next(iter(image.blobs.values())) for image in slow]
        blobs = [Arrival(tmp_path / str(number), len(bytes_)) for number, bytes_ in enumerate(data)]
        putting = [
            asyncio.create_task(session.put_blob(image.target.layers[0], blob))
            for session, image, blob in zip(sessions, slow, blobs, strict=True)
        ]
        assert await put(engine, fast, tmp_path)
        for bytes_, blob in zip(data, blobs, strict=True):
            blob.add(bytes_)
            blob.verify()
        await asyncio.gather(*putting)
        for session in sessions:
            assert await session.finish()


async def test_leftovers_of_a_dead_agent(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path) -> None:
    """The successor drops what an agent of the same node left, and only that."""
    ctr(containerd_daemon, "leases", "create", f"{AGENT_LABEL}=test")
    ctr(containerd_daemon, "leases", "create", "--id", "somebody-elses", f"{AGENT_LABEL}=other")
    try:
        await engine.clean()
        assert [line.split()[0] for line in leases(containerd_daemon).splitlines()] == ["somebody-elses"]
    finally:
        ctr(containerd_daemon, "leases", "delete", "somebody-elses")


async def test_image_in_use(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path) -> None:
    """An image a container was created from is not removed, and the container is named; with force it is."""
    image = sample(named())
    await put(engine, image, tmp_path)
    name = str(image.target.reference)
    container = f"user{os.urandom(4).hex()}"
    ctr(containerd_daemon, "containers", "create", name, container)
    try:
        with pytest.raises(ImageInUse) as refused:
            await engine.remove(name)
        assert refused.value.fields["used_by"] == [container]
        [stored] = [item for item in await engine.images() if name in item.references]
        assert stored.used_by == (container,)
        assert (await engine.plan(image.target)).state == "present"
        assert await engine.remove(name, force=True)
    finally:
        ctr(containerd_daemon, "containers", "delete", container)


async def test_blobs_of_another_namespace(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path) -> None:
    """A layer another namespace (Docker's, say) holds counts as present and is not asked for."""
    image = sample(named())
    other = Containerd(containerd_daemon.socket, owner="test", namespace="moby")
    try:
        await put(other, image, tmp_path)
        plan = await engine.plan(image.target)
        assert plan.missing == ()
        assert set(plan.held) == set(image.blobs)
        async with engine.session(image.target) as session:
            assert session.lacking() == ()
            assert await session.finish()
        await other.remove(str(image.target.reference))
        assert (await engine.plan(image.target)).state == "present"
        assert "complete" in ctr(containerd_daemon, "images", "check", f"name=={image.target.reference}")
    finally:
        await other.close()


async def test_unpacked_layer_without_its_blob(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path) -> None:
    """Where layers are discarded once unpacked, the snapshot alone makes a layer unnecessary."""
    base = layer()
    first, second = sample(named(), [base, layer()]), sample(named(), [base, layer()])
    await put(engine, first, tmp_path)
    ctr(containerd_daemon, "content", "rm", base.digest)
    plan = await engine.plan(second.target)
    assert missing(plan.missing) == list(second.blobs)[1:]
    assert plan.held == ()
    assert await put(engine, second, tmp_path)
    assert (await engine.plan(second.target)).state == "present"


async def test_moved_tag_does_not_keep_the_old_image_pinned(
    engine: Containerd, containerd_daemon: Daemon, tmp_path: Path
) -> None:
    """When a pinned tag moves on, the image it leaves can be collected again."""
    if not (await engine.status()).pin:
        pytest.skip("this containerd does not pin")
    name = named()
    old, new = sample(name, pin=True), sample(name, pin=True)
    await put(engine, old, tmp_path)
    await put(engine, new, tmp_path)
    pins = {item.digest: item.pinned for item in await engine.images()}
    assert pins[new.target.digest]
    assert not pins[old.target.digest]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_restart_in_the_middle(engine: Containerd, containerd_daemon: Daemon, tmp_path: Path, how: int) -> None:
    """containerd goes away while a blob is sent and comes back: the import goes on and ends well."""
    image = sample(named(), [layer(), layer(48 * MB, compress=False), layer()])
    files = image.files(tmp_path)

    async def run() -> bool:
        async with engine.session(image.target) as session:
            for item in image.target.layers:
                await session.put_blob(item, arrived(files[item.descriptor.digest]))
            return await session.finish()

    task = asyncio.create_task(run())
    await sending(containerd_daemon, task)
    await asyncio.to_thread(containerd_daemon.stop, how)
    await asyncio.to_thread(containerd_daemon.start)
    assert await task
    assert (await engine.plan(image.target)).state == "present"
    assert leases(containerd_daemon) == ""


async def test_runtime_that_is_down(tmp_path: Path) -> None:
    """An engine without its containerd says so in its status, and every call fails with RuntimeUnavailable."""
    engine = Containerd(str(tmp_path / "none.sock"), owner="test")
    try:
        status = await engine.status()
        assert not status.ok
        assert status.error
        with pytest.raises(RuntimeUnavailable):
            await engine.images()
    finally:
        await engine.close()
