"""limani.distribution.server: the routes over a store in memory, spoken to over HTTP."""

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from limani.distribution.problems import CODES
from limani.distribution.server import routes
from limani.errors import by_code
from limani.image import digest as digests
from limani.image import media
from limani.image.manifest import MAX_DOCUMENT
from tests.unit.distribution.memory_store import MemoryStore
from tests.unit.distribution.store_conformance import manifest, put

Client = TestClient[Any, Any]
CONFIG = b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}'


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def client(store: MemoryStore) -> AsyncIterator[Client]:
    app = web.Application()
    for route in routes(lambda request: store):
        app.router.add_route(route.method, route.path, route.handler)
    async with TestClient(TestServer(app)) as client:
        yield client


async def problem(answer: aiohttp.ClientResponse, status: int, code: str) -> None:
    """The answer is the specification's JSON with this code, and has our form in its detail."""
    assert answer.status == status
    assert answer.content_type == "application/json"
    (error,) = (await answer.json())["errors"]
    assert error["code"] == code
    assert error["message"]
    assert {"code", "message", "hint", "fields"} <= set(error["detail"])


def test_actions() -> None:
    """What changes something needs another permission than what reads."""
    for route in routes(lambda request: MemoryStore()):
        if route.method in ("GET", "HEAD"):
            assert route.action == "pull" or "uploads" in route.path
        else:
            assert route.action in ("push", "delete")


def test_codes_are_of_errors_there_are() -> None:
    """The table names existing errors only."""
    assert set(CODES) <= set(by_code())


async def test_base(client: Client) -> None:
    """The endpoint that says that this is a registry."""
    answer = await client.get("/v2/")
    assert answer.status == 200
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"


async def test_reading_a_blob(client: Client, store: MemoryStore) -> None:
    """A blob whole, in parts, and only its facts."""
    data = os.urandom(50_000)
    digest = await put(store, data)
    url = f"/v2/limani/blobs/blobs/{digest}"
    head = await client.head(url)
    assert (head.status, head.headers["Content-Length"], head.headers["Docker-Content-Digest"]) == (
        200,
        "50000",
        digest,
    )
    whole = await client.get(url)
    assert (whole.status, await whole.read()) == (200, data)
    assert whole.headers["Content-Length"] == "50000"
    part = await client.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status, await part.read()) == (206, data[100:200])
    assert part.headers["Content-Range"] == "bytes 100-199/50000"
    rest = await client.get(url, headers={"Range": "bytes=49999-"})
    assert (rest.status, await rest.read()) == (206, data[-1:])
    behind = await client.get(url, headers={"Range": "bytes=50000-"})
    assert behind.headers["Content-Range"] == "bytes */50000"
    await problem(behind, 416, "BLOB_UPLOAD_INVALID")


async def test_blob_that_stops_breaks_the_connection(client: Client, store: MemoryStore) -> None:
    """When the bytes end early the client sees a cut, never a whole answer."""
    digest = await put(store, os.urandom(50_000))
    store.stop_after = 20_000
    answer = await client.get(f"/v2/a/blobs/{digest}")
    with pytest.raises(aiohttp.ClientPayloadError):
        await answer.read()


async def test_missing_and_wrong_blobs(client: Client) -> None:
    """What is not there, and what is no digest or no name."""
    unknown = digests.of(b"not there")
    await problem(await client.get(f"/v2/a/blobs/{unknown}"), 404, "BLOB_UNKNOWN")
    assert (await client.head(f"/v2/a/blobs/{unknown}")).status == 404
    await problem(await client.get("/v2/a/blobs/sha256:abc"), 400, "DIGEST_INVALID")
    await problem(await client.get(f"/v2/NOT%20A%20NAME/blobs/{unknown}"), 400, "NAME_INVALID")
    await problem(await client.get(f"/v2/a/%2e%2e/b/blobs/{unknown}"), 404, "BLOB_UNKNOWN")  # aiohttp folds the path
    await problem(await client.get(f"/v2/a:b/blobs/{unknown}"), 400, "NAME_INVALID")


async def test_names_with_a_registry(client: Client, store: MemoryStore) -> None:
    """The repositories of a node are known by their full names, ports included."""
    digest = await put(store, b"x")
    for name in ("docker.io/library/nginx", "r.example:5000/app", "app"):
        assert (await client.get(f"/v2/{name}/blobs/{digest}")).status == 200


async def test_upload_in_chunks(client: Client, store: MemoryStore) -> None:
    """POST, PATCH, PATCH, PUT; the status in between; a chunk for the wrong place."""
    data = os.urandom(9000)
    digest = digests.of(data)
    start = await client.post("/v2/a/b/blobs/uploads/")
    assert start.status == 202
    assert "Range" not in start.headers
    url = start.headers["Location"]
    assert (await client.get(url)).status == 204
    first = await client.patch(url, data=data[:5000], headers={"Content-Range": "0-4999"})
    assert (first.status, first.headers["Range"]) == (202, "0-4999")
    wrong = await client.patch(url, data=data[5000:], headers={"Content-Range": "4000-7999"})
    assert (wrong.headers["Range"], wrong.headers["Location"]) == ("0-4999", url)
    await problem(wrong, 416, "BLOB_UPLOAD_INVALID")
    short = await client.patch(url, data=data[5000:], headers={"Content-Range": "5000-5009"})
    await problem(short, 400, "BLOB_UPLOAD_INVALID")
    status = await client.get(url)
    assert (status.status, status.headers["Range"]) == (204, "0-4999")
    second = await client.patch(url, data=data[5000:8000])
    assert second.headers["Range"] == "0-7999"
    done = await client.put(url, params={"digest": digest}, data=data[8000:])
    assert (done.status, done.headers["Docker-Content-Digest"]) == (201, digest)
    assert store.blobs[digest] == data
    assert (await client.get(done.headers["Location"])).status == 200
    await problem(await client.get(url), 404, "BLOB_UPLOAD_UNKNOWN")


async def test_upload_at_once(client: Client, store: MemoryStore) -> None:
    """POST with the whole blob."""
    digest = digests.of(b"hello")
    answer = await client.post("/v2/a/blobs/uploads/", params={"digest": digest}, data=b"hello")
    assert (answer.status, store.blobs[digest]) == (201, b"hello")
    wrong = await client.post("/v2/a/blobs/uploads/", params={"digest": digest}, data=b"other")
    await problem(wrong, 400, "DIGEST_INVALID")


async def test_upload_that_was_cut_is_found_again(client: Client, store: MemoryStore) -> None:
    """With a digest and no body the answer says what an earlier session left."""
    data = os.urandom(2000)
    digest = digests.of(data)
    start = await client.post("/v2/a/blobs/uploads/", params={"digest": digest})
    await client.patch(start.headers["Location"], data=data[:600])
    again = await client.post("/v2/a/blobs/uploads/", params={"digest": digest})
    assert (again.status, again.headers["Range"]) == (202, "0-599")
    url = again.headers["Location"]
    await client.patch(url, data=data[600:], headers={"Content-Range": "600-1999"})
    assert (await client.put(url, params={"digest": digest})).status == 201
    assert store.blobs[digest] == data


async def test_upload_cut_in_the_middle(client: Client, store: MemoryStore) -> None:
    """What had arrived when the connection broke is kept."""
    start = await client.post("/v2/a/blobs/uploads/")
    url = start.headers["Location"]
    _, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"PATCH {url} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n".encode() + b"a" * 3000)
    await writer.drain()
    async with asyncio.timeout(5):
        await store.arrived(3000)
    writer.close()
    await writer.wait_closed()
    assert (await client.get(url)).headers["Range"] == "0-2999"


async def test_cancel_and_unknown_sessions(client: Client, store: MemoryStore) -> None:
    """DELETE ends a session; unknown ones are said to be unknown."""
    url = (await client.post("/v2/a/blobs/uploads/")).headers["Location"]
    assert (await client.delete(url)).status == 204
    assert store.uploads == {}
    digest = {"digest": digests.of(b"")}
    await problem(await client.delete(url), 404, "BLOB_UPLOAD_UNKNOWN")
    await problem(await client.patch(url, data=b"x"), 404, "BLOB_UPLOAD_UNKNOWN")
    await problem(await client.put(url, params=digest), 404, "BLOB_UPLOAD_UNKNOWN")


async def test_put_needs_a_digest(client: Client) -> None:
    """Closing an upload without saying what it is."""
    url = (await client.post("/v2/a/blobs/uploads/")).headers["Location"]
    await problem(await client.put(url), 400, "DIGEST_INVALID")
    await problem(await client.put(url, params={"digest": "md5:x"}), 400, "DIGEST_INVALID")


async def test_mount(client: Client, store: MemoryStore) -> None:
    """A blob that is there is mounted, another one is uploaded."""
    digest = await put(store, b"x")
    there = await client.post("/v2/a/blobs/uploads/", params={"mount": digest, "from": "b"})
    assert (there.status, there.headers["Location"]) == (201, f"/v2/a/blobs/{digest}")
    absent = await client.post("/v2/a/blobs/uploads/", params={"mount": digests.of(b"y"), "from": "b"})
    assert (absent.status, "uploads" in absent.headers["Location"]) == (202, True)


async def test_manifests(client: Client, store: MemoryStore) -> None:
    """A manifest by tag and by digest, its facts, its tags, and its end."""
    raw = manifest(CONFIG)
    digest = digests.of(raw)
    headers = {"Content-Type": media.OCI_MANIFEST}
    missing = await client.put("/v2/a/b/manifests/1", data=raw, headers=headers)
    await problem(missing, 400, "MANIFEST_BLOB_UNKNOWN")
    await put(store, CONFIG)
    sent = await client.put("/v2/a/b/manifests/1", data=raw, headers=headers)
    assert (sent.status, sent.headers["Docker-Content-Digest"]) == (201, digest)
    for reference in ("1", digest):
        found = await client.get(f"/v2/a/b/manifests/{reference}")
        assert (found.status, found.headers["Content-Type"], await found.read()) == (200, media.OCI_MANIFEST, raw)
        head = await client.head(f"/v2/a/b/manifests/{reference}")
        assert (head.status, head.headers["Content-Length"], await head.read()) == (200, str(len(raw)), b"")
        assert head.headers["Docker-Content-Digest"] == digest
    assert (await client.delete(f"/v2/a/b/manifests/{digest}")).status == 202
    await problem(await client.get("/v2/a/b/manifests/1"), 404, "MANIFEST_UNKNOWN")
    await problem(await client.delete("/v2/a/b/manifests/1"), 404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize(
    ("reference", "body", "content_type", "status", "code"),
    [
        ("1", b"{}", media.OCI_MANIFEST, 400, "MANIFEST_INVALID"),
        ("1", b"\xff", media.OCI_MANIFEST, 400, "MANIFEST_INVALID"),
        ("1", manifest(CONFIG), media.OCI_INDEX, 400, "MANIFEST_INVALID"),
        ("1", b" " * (MAX_DOCUMENT + 1), media.OCI_MANIFEST, 413, "SIZE_INVALID"),
        (digests.of(b"other"), manifest(CONFIG), media.OCI_MANIFEST, 400, "DIGEST_INVALID"),
        ("sha256:abc", manifest(CONFIG), media.OCI_MANIFEST, 400, "DIGEST_INVALID"),
        ("-tag", manifest(CONFIG), media.OCI_MANIFEST, 400, "NAME_INVALID"),
    ],
)
async def test_wrong_manifests(
    client: Client, store: MemoryStore, reference: str, body: bytes, content_type: str, status: int, code: str
) -> None:
    """What is no manifest, too large, or not what it is said to be, is refused."""
    await put(store, CONFIG)
    answer = await client.put(
        f"/v2/a/manifests/{reference}", data=io.BytesIO(body), headers={"Content-Type": content_type}
    )
    await problem(answer, status, code)
    assert store.manifests == {}


async def test_tags(client: Client, store: MemoryStore) -> None:
    """Tags are sorted and come in pages."""
    await put(store, CONFIG)
    for tag in ("3", "1", "2"):
        await store.put_manifest("a", tag, media.OCI_MANIFEST, manifest(CONFIG))
    assert await (await client.get("/v2/a/tags/list")).json() == {"name": "a", "tags": ["1", "2", "3"]}
    page = await client.get("/v2/a/tags/list", params={"n": "2"})
    assert (await page.json())["tags"] == ["1", "2"]
    rest = await client.get(str(page.links["next"]["url"].relative()))
    assert (await rest.json())["tags"] == ["3"]
    assert "Link" not in rest.headers
    await problem(await client.get("/v2/a/tags/list?n=x"), 400, "PAGINATION_NUMBER_INVALID")
    await problem(await client.get("/v2/none/tags/list"), 404, "NAME_UNKNOWN")


async def test_errors_carry_ours(client: Client) -> None:
    """Our own clients rebuild the error they would have got in the same process."""
    answer = await client.get(f"/v2/a/blobs/{digests.of(b'no')}")
    detail = json.loads(await answer.text())["errors"][0]["detail"]
    assert detail["code"] == "blob_unknown"
    assert detail["fields"]["digest"] == digests.of(b"no")
