"""The dockerd engine on a real dockerd."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from limani.engine.docker.archive import partial_archive
from limani.engine.docker.engine import Docker
from limani.errors import ImageInUse, Unsupported
from limani.image import media
from tests.integration.engine.daemons import Daemon
from tests.unit.engine.conformance import EngineConformance, named, put
from tests.unit.engine.samples import SampleLayer, layer, sample

pytestmark = pytest.mark.integration


def docker(daemon: Daemon, *words: str) -> str:
    """Docker's own client: what an independent eye sees."""
    command = [str(daemon.binaries.parent / "bin/docker"), "--host", f"unix://{daemon.socket}", *words]
    if not Path(command[0]).exists():
        command[0] = "docker"
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
async def engine(dockerd_daemon: Daemon) -> AsyncIterator[Docker]:
    """The engine over a real dockerd."""
    found = Docker(dockerd_daemon.socket, disks=(str(dockerd_daemon.folder),))
    yield found
    await found.close()


class TestDocker(EngineConformance):
    """The conformance suite."""


async def test_only_missing_layers_are_sent(engine: Docker, dockerd_daemon: Daemon, tmp_path: Path) -> None:
    """The archive of an image whose base is there carries the new layer alone, and the daemon completes it."""
    base, top = layer(500_000), layer(1000)
    await put(engine, sample(named(), [base]), tmp_path)
    image = sample(named(), [base, top])
    files = image.files(tmp_path)
    sent = b"".join([piece async for piece in partial_archive(image.target, {top.digest: files[top.digest]})])
    assert len(sent) < 20_000
    assert await put(engine, image, tmp_path)
    shown = docker(dockerd_daemon, "image", "inspect", "--format", "{{.Id}}", str(image.target.reference))
    assert shown.strip() == image.target.config.digest


async def test_image_in_use(engine: Docker, dockerd_daemon: Daemon, tmp_path: Path) -> None:
    """An image a container was created from is not removed, and the container is named."""
    image = sample(named())
    await put(engine, image, tmp_path)
    name = str(image.target.reference)
    container = f"user{os.urandom(4).hex()}"
    docker(dockerd_daemon, "create", "--name", container, name)
    try:
        [stored] = [item for item in await engine.images() if name in item.references]
        assert stored.used_by == (container,)
        with pytest.raises(ImageInUse) as refused:
            await engine.remove(name)
        assert refused.value.fields["used_by"] == [container]
    finally:
        docker(dockerd_daemon, "rm", container)
    assert await engine.remove(name)


async def test_what_dockerd_cannot_do(engine: Docker) -> None:
    """A name by digest, and zstd layers for a dockerd that cannot unpack them, are refused by name."""
    layers = [layer()]
    digest = sample(named(), layers).target.digest
    with pytest.raises(Unsupported):
        await engine.refuse(sample(f"conformance/x@{digest}", layers).target)
    zstd = SampleLayer(layer().data, layer().diff_id, media.layer_type("zstd"))
    version = (await engine.status()).version
    if int(version.split(".")[0]) < 23:
        with pytest.raises(Unsupported):
            await engine.refuse(sample(named(), [zstd]).target)
