"""The agent as a process: what it costs, how it ends, what it leaves."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from limani import wire
from limani.image import digest as digests
from limani.image import media
from tests.integration.agent.conftest import AgentProcess
from tests.integration.engine.daemons import Daemon
from tests.integration.engine.test_containerd import ctr
from tests.unit.agent.harness import Agent
from tests.unit.engine.samples import SampleLayer, layer, sample

pytestmark = pytest.mark.integration

MB = 1 << 20
IDLE_MIB, BUSY_MIB = 60, 100


async def test_two_agents(agents: list[Agent], processes: list[AgentProcess], containerd_daemon: Daemon) -> None:
    """An image uploaded to one agent reaches the other; both containerds have it complete and unpacked."""
    image = sample("demo/app:1", [layer(3 * MB), layer(1000)], index=True)
    first, second = agents
    peer = await first.peer(image.spec)
    async with first.seeding([image.spec]) as one, second.seeding([image.spec], [peer]) as two:
        ends = await asyncio.gather(one.serve(image.blobs), two.serve({}))
    assert all(isinstance(end, wire.Finished) for end in ends)
    assert {done.source for done in two.of(wire.BlobDone)} == {"n1"}
    for process in processes:
        checked = ctr(containerd_daemon, "images", "check", "name==docker.io/demo/app:1", namespace=process.namespace)
        assert "complete" in checked
        assert checked.rstrip().endswith("true")


async def test_killed_in_the_middle(
    agents: list[Agent], processes: list[AgentProcess], containerd_daemon: Daemon
) -> None:
    """A killed agent's successor drops the lease it left, keeps what was received, and fetches the rest only."""
    image = sample("demo/killed:1", [layer(1000), layer(8 * MB, compress=False)])
    digest, data = list(image.blobs.items())[1]
    async with agents[0].seeding([image.spec]) as seeding:
        await seeding.until(wire.Want)
        while not any(want.digest == digest for want in seeding.of(wire.Want)):
            await seeding.until(wire.Want)
        location, _ = await agents[0].start_upload(digest)
        await agents[0].append(location, 0, data[: 5 * MB], 5 * MB)
        assert ctr(containerd_daemon, "leases", "ls", namespace=processes[0].namespace).splitlines()[1:]
        processes[0].stop(signal.SIGKILL)
    processes[0].start()
    async with agents[0].seeding([image.spec]) as seeding:
        last = await seeding.serve(image.blobs)
    assert isinstance(last, wire.Finished)
    assert last.moved == sum(map(len, image.blobs.values())) - 5 * MB
    assert ctr(containerd_daemon, "leases", "ls", namespace=processes[0].namespace).splitlines()[1:] == []
    assert list(processes[0].spool.iterdir()) == []


async def test_stopped_in_the_middle(
    agents: list[Agent], processes: list[AgentProcess], containerd_daemon: Daemon
) -> None:
    """SIGTERM ends runs in order: no lease is left, what was received is, and the exit code is 0."""
    image = sample("demo/stopped:1", [layer(1000), layer(2 * MB, compress=False)])
    async with agents[0].seeding([image.spec]) as seeding:
        await seeding.until(wire.Want)
        digest, data = next(iter(image.blobs.items()))
        await agents[0].upload(digest, data)
        await seeding.until(wire.BlobDone)
        assert await asyncio.to_thread(processes[0].stop) == 0
    assert ctr(containerd_daemon, "leases", "ls", namespace=processes[0].namespace).splitlines()[1:] == []
    assert ctr(containerd_daemon, "content", "ls", "-q", namespace=processes[0].namespace) == ""
    assert [path.name for path in processes[0].spool.iterdir()] == [digest.removeprefix("sha256:")]


async def test_caller_gone(agents: list[Agent], processes: list[AgentProcess], containerd_daemon: Daemon) -> None:
    """A caller who hangs up leaves no lease, no ingest, no blob and no name in containerd."""
    image = sample("demo/gone:1", [layer(1000), layer(1000)])
    async with agents[0].seeding([image.spec]) as seeding:
        digest, data = next(iter(image.blobs.items()))
        await agents[0].upload(digest, data)
        await seeding.until(wire.BlobDone)
    async with agents[0].request("GET", "/metrics") as response:
        text = await response.text()
    while "limani_seed_running 0.0" not in text:
        async with agents[0].request("GET", "/metrics") as response:
            text = await response.text()
    assert ctr(containerd_daemon, "leases", "ls", namespace=processes[0].namespace).splitlines()[1:] == []
    assert ctr(containerd_daemon, "content", "active", namespace=processes[0].namespace).splitlines()[1:] == []
    assert ctr(containerd_daemon, "images", "ls", "-q", namespace=processes[0].namespace) == ""


def big_layer(path: Path, size: int) -> SampleLayer:
    """An uncompressed layer of zeros in a sparse file (its bytes are never in this process' memory)."""
    import hashlib
    import tarfile

    info = tarfile.TarInfo("zeros")
    info.size = size
    header = info.tobuf(tarfile.USTAR_FORMAT)
    digest = hashlib.sha256(header)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size + 2 * 512)
    piece = bytes(MB)
    for _ in range(size // MB):
        digest.update(piece)
    digest.update(bytes(2 * 512))
    return SampleLayer(b"", "sha256:" + digest.hexdigest(), media.layer_type(""))


def big_image(found: SampleLayer, size: int) -> wire.ImageSpec:
    """An image of a layer whose bytes are elsewhere."""
    import json

    image = sample("demo/big:1", [layer(1, compress=False)])
    manifest, config = (json.loads(document.data) for document in image.spec.documents)
    config["rootfs"]["diff_ids"] = [found.diff_id]
    raw_config = json.dumps(config).encode()
    manifest["config"] |= {"digest": digests.of(raw_config), "size": len(raw_config)}
    manifest["layers"][0] |= {"digest": found.diff_id, "size": size}
    documents = (
        wire.Document(media.OCI_MANIFEST, json.dumps(manifest).encode()),
        wire.Document(media.OCI_CONFIG, raw_config),
    )
    return wire.ImageSpec("demo/big:1", documents)


@pytest.mark.slow
async def test_memory_stays_flat(agents: list[Agent], processes: list[AgentProcess], tmp_path: Path) -> None:
    """An agent is at most 60 MiB when idle and 100 MiB while a gigabyte comes in and goes out again."""
    for agent in agents:
        await agent.ask("GET", "/limani/v1/images", wire.Inventory)
    idle = [process.memory("VmRSS") for process in processes]
    size = 1024 * MB
    path = tmp_path / "layer.tar"
    big = await asyncio.to_thread(big_layer, path, size)
    spec = big_image(big, path.stat().st_size)

    async def chunks() -> AsyncIterator[bytes]:
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, MB):
                yield piece

    first, second = agents
    peer = await first.peer(spec)
    async with first.seeding([spec]) as one, second.seeding([spec], [peer]) as two:
        want = await one.until(wire.Want)
        location, _ = await first.start_upload(want.digest)
        await first.append(location, 0, chunks(), path.stat().st_size)
        await first.finish(location, want.digest)
        ends = await asyncio.gather(one.serve({}), two.serve({}))
    assert all(isinstance(end, wire.Finished) for end in ends)
    busy = [process.memory("VmHWM") for process in processes]
    print(f"idle {idle} MiB, busy {busy} MiB")
    assert max(idle) <= IDLE_MIB
    assert max(busy) <= BUSY_MIB


def test_skopeo_pushes(processes: list[AgentProcess], containerd_daemon: Daemon, tmp_path: Path) -> None:
    """A standard registry client puts an image onto the node by pushing to its agent."""
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    from tests.support.images import make_archive

    archive = tmp_path / "image.tar"
    made = make_archive(archive, "demo/pushed:1", [("a", 100_000), ("b", 1000)], busybox=False)
    (tmp_path / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    policy = ("--policy", str(tmp_path / "policy.json"))
    target = f"docker://127.0.0.1:{processes[0].port}/demo/pushed:1"
    options = ("--preserve-digests", "--dest-tls-verify=false", "--dest-creds", "anybody:secret")
    command = ["skopeo", *policy, "copy", *options, f"oci-archive:{archive}", target]
    environment = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    listed = ctr(containerd_daemon, "images", "ls", namespace=processes[0].namespace)
    assert (
        next(line for line in listed.splitlines() if line.startswith("docker.io/demo/pushed:1 ")).split()[2]
        == made.digest
    )


def test_agent_without_a_runtime(tmp_path: Path) -> None:
    """An agent on a machine without a runtime says so, and what to do, and ends."""
    import sys

    command = [sys.executable, "-m", "limani.agent", "--containerd-socket", "/none", "--docker-socket", ""]
    done = subprocess.run(
        [*command, "--auth", "token-file", "--spool", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "/none" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
