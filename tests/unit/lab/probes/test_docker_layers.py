"""The search for a secret in all layers of an image."""

from __future__ import annotations

import gzip

import pytest
import zstandard

from limani.lab.probes import docker_layers as probes
from limani.lab.record import Status
from limani.lab.texts import render
from tests.unit.lab.probes.docker_double import Client, Image, tar, world

CONFIG = b'{"config": {"Env": ["PATH=/bin"]}}'
BASE = tar({"bin/sh": b"x" * 1000})
SECRET = tar({"app/.env": b"API_KEY=s3cret"})
PLAIN, WRAPPED = "layer.tar", "blobs/sha256/abc"


async def search(*layers: bytes, config: bytes = CONFIG) -> tuple[Status, str | None]:
    """Status and cause for an image of these layers."""
    files = {f"{n}/layer.tar": layer for n, layer in enumerate(layers)} | {"config.json": config}
    client = Client(images={"mine": Image(archive=tar(files))})
    finding = await probes.free_of(world(client), image="mine", secret="s3cret", file=".env")
    render(finding.found, "el")
    render(finding.wanted, "el")
    return finding.status, finding.cause


async def test_clean() -> None:
    """An image without it passes."""
    assert await search(BASE, tar({"app/app.sh": b"#!/bin/sh\n"})) == (Status.PASS, None)


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, zstandard.compress, lambda layer: zstandard.ZstdCompressor(level=1).compress(layer)]
)
async def test_every_form_of_layer(pack: object) -> None:
    """Layers are read plain, and compressed as an archive of the OCI's form has them."""
    assert callable(pack)
    assert await search(BASE, pack(SECRET)) == (Status.FAIL, "secret-file")


async def test_removed_later() -> None:
    """A file that a later layer hides is still there, and told apart from one that all can see."""
    assert await search(BASE, SECRET, tar({"app/.wh..env": b""})) == (Status.FAIL, "secret-layer")
    assert await search(BASE, SECRET, tar({".wh.app": b""})) == (Status.FAIL, "secret-layer")


async def test_under_another_name() -> None:
    """What the file says is found in a file of any name, also where two chunks meet."""
    assert await search(tar({"etc/settings": b"key: s3cret"})) == (Status.FAIL, "secret-file")
    middle = b"x" * (probes.CHUNK - 3) + b"s3cret"
    assert await search(tar({"big": middle})) == (Status.FAIL, "secret-file")


async def test_in_the_configuration() -> None:
    """An ENV or a RUN with the words is in the configuration of the image."""
    assert await search(BASE, config=b'{"Env": ["KEY=s3cret"]}') == (Status.FAIL, "secret-config")


async def test_no_image() -> None:
    """An image that does not exist is told as such."""
    finding = await probes.free_of(world(Client()), image="mine", secret="s3cret", file=".env")
    assert finding.cause == "no-image"
