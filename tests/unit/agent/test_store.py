"""The node as a registry: the store suite, and what a pushed manifest becomes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from limani.agent.grants import Grants
from limani.agent.metrics import Metrics
from limani.agent.peers import Peers
from limani.agent.routes import Service
from limani.agent.spool import Spool
from limani.agent.store import NodeStore
from tests.unit.agent.harness import HEADERS, Agent
from tests.unit.distribution.store_conformance import StoreConformance
from tests.unit.engine.fake import FakeEngine
from tests.unit.engine.samples import Sample, sample


class TestNodeStore(StoreConformance):
    """The suite of stores (arbitrary manifests are no images, so those it does not take)."""

    takes_manifests = False

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[NodeStore]:
        """A node's store."""
        spool = Spool(tmp_path)
        service = Service("n1", "", "", (FakeEngine(),), spool, Peers(), Grants(), Metrics())
        yield NodeStore(service, patient=False)
        spool.close()


async def push(agent: Agent, image: Sample, repository: str, tag: str) -> int:
    """Push an image as a registry's client does; returns the status of the last request."""
    documents = list(image.spec.documents)
    for data in [*image.blobs.values(), documents[-1].data]:
        assert await push_blob(agent, data) == 201
    for document in documents[1:-1]:
        assert await put_manifest(agent, repository, sha(document.data), document.media_type, document.data) == 201
    return await put_manifest(agent, repository, tag, documents[0].media_type, documents[0].data)


def sha(data: bytes) -> str:
    from limani.image import digest

    return digest.of(data)


async def push_blob(agent: Agent, data: bytes) -> int:
    async with agent.request("POST", "/v2/x/blobs/uploads/") as response:
        location = response.headers["Location"]
    async with agent.request("PATCH", location, data=data) as response:
        assert response.status == 202
    async with agent.request("PUT", f"{location}?digest={sha(data)}") as response:
        return int(response.status)


async def put_manifest(agent: Agent, repository: str, reference: str, media_type: str, data: bytes) -> int:
    headers = HEADERS | {"Content-Type": media_type}
    path = f"/v2/{repository}/manifests/{reference}"
    async with agent.request("PUT", path, headers=headers, data=data) as response:
        return int(response.status)


@pytest.mark.parametrize("index", [False, True], ids=["manifest", "index"])
async def test_pushed_image(agent: Agent, index: bool) -> None:
    """An image pushed by a registry's client is an image of the node, and can be pulled back by tag and digest."""
    image = sample("demo/app:1", index=index)
    assert await push(agent, image, "demo/app", "1") == 201
    assert agent.engine.names["docker.io/demo/app:1"].digest == image.target.digest
    for reference in ("1", image.target.digest):
        async with agent.request("GET", f"/v2/demo/app/manifests/{reference}") as response:
            assert response.status == 200
            assert await response.read() == image.spec.documents[0].data
            assert response.headers["Docker-Content-Digest"] == image.target.digest
    async with agent.request("GET", "/v2/demo/app/tags/list") as response:
        assert json.loads(await response.read()) == {"name": "demo/app", "tags": ["1"]}


async def test_names_with_a_registry(agent: Agent) -> None:
    """A repository that begins with a registry keeps it."""
    image = sample("r.example:5000/team/app:2")
    assert await push(agent, image, "r.example:5000/team/app", "2") == 201
    assert set(agent.engine.names) >= {"r.example:5000/team/app:2"}


async def test_manifest_without_its_blobs(agent: Agent) -> None:
    """A manifest that names a blob nobody sent is refused as the specification says, and nothing is named."""
    image = sample("demo/app:1")
    manifest, config = image.spec.documents
    assert await push_blob(agent, config.data) == 201
    headers = HEADERS | {"Content-Type": manifest.media_type}
    async with agent.request("PUT", "/v2/demo/app/manifests/1", headers=headers, data=manifest.data) as response:
        assert response.status == 400
        assert json.loads(await response.read())["errors"][0]["code"] == "MANIFEST_BLOB_UNKNOWN"
    assert agent.engine.names == {}


async def test_deleted_manifest(agent: Agent) -> None:
    """Deleting a tag removes the name from the node; a second time there is none."""
    image = sample("demo/app:1")
    await push(agent, image, "demo/app", "1")
    for status in (202, 404):
        async with agent.request("DELETE", "/v2/demo/app/manifests/1") as response:
            assert response.status == status
    assert "docker.io/demo/app:1" not in agent.engine.names


async def test_range_of_a_blob(agent: Agent) -> None:
    """A part of a blob can be read."""
    image = sample("demo/app:1")
    await push(agent, image, "demo/app", "1")
    digest, data = next(iter(image.blobs.items()))
    headers = HEADERS | {"Range": "bytes=10-19"}
    async with agent.request("GET", f"/v2/demo/app/blobs/{digest}", headers=headers) as response:
        assert response.status == 206
        assert await response.read() == data[10:20]
