"""limani.distribution.client and session against a registry that misbehaves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from limani.distribution import session
from limani.distribution.auth import Credentials
from limani.errors import (
    BadInput,
    BlobUnknown,
    DigestMismatch,
    Forbidden,
    ImageNotFound,
    LimitExceeded,
    PlatformMissing,
    SourceUnavailable,
    Unauthenticated,
)
from limani.image import digest as digests
from limani.image import media
from limani.image.descriptor import Descriptor
from limani.image.manifest import MAX_DOCUMENT
from limani.image.reference import Reference
from tests.unit.distribution.fake_registry import FakeRegistry, source
from tests.unit.image.archives import AMD, ARM, Sample, sample

SECRET = "top secret"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return sample(tmp_path_factory.mktemp("app"), size=200_000)


@pytest.fixture
def registry(app: Sample, monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    monkeypatch.setattr(session, "_PAUSE_S", 0.0)
    registry = FakeRegistry()
    registry.load(app.files, app.digest)
    return registry


async def collect(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_image_and_blobs(registry: FakeRegistry, app: Sample) -> None:
    """Image, names and blobs of a registry."""
    async with registry.running() as name, source(name) as found:
        image = await found.image(None, AMD)
        assert (image.digest, image.reference, image.config.digest) == (app.digest, name, app.config_digest)
        for layer in image.manifest.layers:
            data = await collect(found.open(layer))
            assert digests.of(data) == layer.digest
            assert await collect(found.open(layer, 777)) == data[777:]
        assert await found.references() == [name]
        accept = next(r for r in registry.requests if "/manifests/" in r.path).headers["Accept"]
        assert all(kind in accept for kind in (media.OCI_INDEX, media.DOCKER_MANIFEST))
        with pytest.raises(PlatformMissing, match="is for linux/amd64"):
            await found.image(name, ARM)
        with pytest.raises(ImageNotFound, match="has no app 2; it has the tags 1"):
            await found.image(name.with_tag("2"), AMD)
        with pytest.raises(BlobUnknown):
            await collect(found.open(Descriptor("", digests.of(b"no"), 2)))
        with pytest.raises(BadInput):
            await found.image(Reference.parse("elsewhere"), AMD)


async def test_token_service(registry: FakeRegistry) -> None:
    """Anonymous tokens, tokens for a password and for an identity token; one token serves all requests."""
    registry.token = "t1"
    async with registry.running() as name:
        async with source(name) as found:
            await found.image(None, AMD)
            asked = [r for r in registry.requests if r.path == "/token"]
            assert len(asked) == 1
            assert asked[0].query["service"] == "fake"
            assert asked[0].query["scope"] == "repository:app:pull"
        registry.basic = f"user:{SECRET}"
        async with source(name, credentials=Credentials("user", SECRET)) as found:
            await found.image(None, AMD)
        registry.basic, registry.refresh = "x:y", SECRET
        async with source(name, credentials=Credentials(identity_token=SECRET)) as found:
            await found.image(None, AMD)
        for wrong in (None, Credentials("user", SECRET), Credentials(identity_token="old")):
            async with source(name, credentials=wrong) as found:
                with pytest.raises(Unauthenticated) as caught:
                    await found.image(None, AMD)
                assert SECRET not in f"{caught.value.message}{caught.value.hint}{caught.value.fields}"


async def test_expired_token_is_renewed_once(registry: FakeRegistry) -> None:
    """A token that stopped being valid is replaced; one renewal serves requests that failed at the same time."""
    registry.token = "t1"
    async with registry.running() as name, source(name) as found:
        image = await found.image(None, AMD)
        registry.token = "t2"
        before = len([r for r in registry.requests if r.path == "/token"])
        await asyncio.gather(*(collect(found.open(layer)) for layer in image.manifest.layers * 3))
        assert len([r for r in registry.requests if r.path == "/token"]) == before + 1


async def test_basic_authentication(registry: FakeRegistry) -> None:
    """Registries with passwords only."""
    registry.token, registry.scheme, registry.basic = "never given", "Basic", f"user:{SECRET}"
    async with registry.running() as name:
        async with source(name, credentials=Credentials("user", SECRET)) as found:
            await found.image(None, AMD)
        for wrong in (None, Credentials("user", "other")):
            async with source(name, credentials=wrong) as found:
                with pytest.raises(Unauthenticated):
                    await found.image(None, AMD)


async def test_token_service_without_tls_gets_nothing(registry: FakeRegistry) -> None:
    """A registry cannot make a client send its password in the clear."""
    found = session.RegistrySession(
        "r.example", "app", Credentials("u", SECRET), ca_file=None, plain_http=False, insecure=False
    )
    with pytest.raises(SourceUnavailable, match="without encryption"):
        await found._token({"realm": "http://auth.example/token"})
    with pytest.raises(SourceUnavailable, match="no token service"):
        await found._token({"realm": "file:///etc/passwd"})
    await found.close()


async def test_redirect_does_not_leak_credentials(registry: FakeRegistry, app: Sample) -> None:
    """Blob storage on another host gets the range, and not the token."""
    registry.token = "t1"
    storage = FakeRegistry(store=registry.store)
    async with registry.running() as name, storage.running():
        registry.blobs_at = storage.base
        async with source(name) as found:
            image = await found.image(None, AMD)
            layer = image.manifest.layers[0]
            data = await collect(found.open(layer, 100))
            assert len(data) == layer.size - 100
    assert storage.requests
    assert all("Authorization" not in request.headers for request in storage.requests)
    assert storage.requests[-1].headers["Range"] == "bytes=100-"
    assert any("Authorization" in request.headers for request in registry.requests)


async def test_redirects_have_an_end(registry: FakeRegistry) -> None:
    """A registry that redirects to itself is given up; so is one that leads away from HTTP."""
    async with registry.running() as name, source(name) as found:
        image = await found.image(None, AMD)
        for target, why in ((registry.base, "more than"), ("ftp://x", "redirects to ftp"), ("http://[::", "nowhere")):
            registry.blobs_at = target
            with pytest.raises(SourceUnavailable, match=why):
                await collect(found.open(image.manifest.layers[0]))


@pytest.mark.parametrize("ignore_ranges", [False, True])
async def test_blob_goes_on_after_cuts(registry: FakeRegistry, ignore_ranges: bool) -> None:
    """A connection that breaks is made again from where it broke, also where the server ignores ranges."""
    async with registry.running() as name, source(name) as found:
        image = await found.image(None, AMD)
        layer = image.manifest.layers[0]
        registry.ignore_ranges = ignore_ranges
        registry.cut_after = [50_000, 70_000, 10_000]
        assert digests.of(await collect(found.open(layer))) == layer.digest
        assert registry.cut_after == []
        registry.cut_after = [1000] * 50
        with pytest.raises(SourceUnavailable):
            await collect(found.open(layer))
        assert len(registry.cut_after) == 50 - session.TRIES


async def test_overload_and_failures_are_tried_again(registry: FakeRegistry) -> None:
    """429 and 5xx are tried again a few times; what stays is an error with the status."""
    async with registry.running() as name, source(name) as found:
        registry.statuses = [429, 503, 500]
        assert await found.image(None, AMD)
        registry.statuses = [503] * session.TRIES
        with pytest.raises(SourceUnavailable, match="503"):
            await found.image(None, AMD)
        registry.statuses = [403]
        with pytest.raises(Forbidden):
            await found.image(None, AMD)


async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port is tried again and then named."""
    monkeypatch.setattr(session, "_PAUSE_S", 0.0)
    async with source(Reference.parse("127.0.0.1:1/app")) as found:
        with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1 does not answer"):
            await found.image(None, AMD)


async def test_wrong_bytes(registry: FakeRegistry, app: Sample) -> None:
    """Blobs and manifests that are not what they should be are refused."""
    async with registry.running() as name, source(name) as found:
        image = await found.image(None, AMD)
        layer = image.manifest.layers[0]
        registry.extra = b"x" * layer.size
        with pytest.raises(DigestMismatch):
            await collect(found.open(layer))
        registry.extra = b"x" * (layer.size + 1_000_000)
        with pytest.raises(DigestMismatch):
            await collect(found.open(layer))
        with pytest.raises(DigestMismatch):
            await found.image(None, AMD)  # the configuration is wrong as well
        registry.extra = b""
        other = digests.of(b"other")
        registry.store.manifests["app", other] = registry.store.manifests["app", "1"]
        with pytest.raises(DigestMismatch):
            await found.image(name.with_digest(other), AMD)
        registry.store.manifests["app", "1"] = (media.OCI_MANIFEST, b" " * (MAX_DOCUMENT + 1))
        with pytest.raises(LimitExceeded):
            await found.image(None, AMD)


def test_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    """A CA file that is missing or no certificate is named at once."""
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "absent.pem"):
        with pytest.raises(BadInput, match=path.name):
            source(Reference.parse("r.example/app"), ca_file=path)


def test_docker_io_has_another_host() -> None:
    """Images of docker.io come from registry-1.docker.io."""
    found = session.RegistrySession("docker.io", "library/x", None, ca_file=None, plain_http=False, insecure=False)
    assert found._base == "https://registry-1.docker.io/v2/library/x"
