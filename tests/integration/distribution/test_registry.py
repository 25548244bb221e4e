"""RegistrySource against a real registry server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from limani.distribution.auth import Credentials
from limani.distribution.client import RegistrySource
from limani.errors import BlobUnknown, ImageNotFound, PlatformMissing, SourceUnavailable, Unauthenticated
from limani.image import digest as digests
from limani.image.descriptor import Descriptor
from limani.image.manifest import Platform, image_documents
from limani.image.reference import Reference
from limani.image.source import CHUNK, SourceImage
from limani.image.writer import ImageToWrite, WrittenImage, build_layer_from_files, write_archive
from tests.support.registry import PASSWORD, USERNAME, RegistryServer, open_registry, registry

__all__ = ["open_registry", "registry"]
pytestmark = pytest.mark.integration
AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[WrittenImage]]:
    """An archive with one image for two platforms; its layer has several pieces."""
    folder = tmp_path_factory.mktemp("images")
    layers = [build_layer_from_files({"/x": text * 20_000_000}, folder, "") for text in (b"a", b"b")]
    small = build_layer_from_files({"/y": b"small"}, folder, "gzip")
    images = [ImageToWrite("app:1", [layer, small], {}, p) for layer, p in zip(layers, (AMD, ARM), strict=True)]
    return folder / "x.tar", write_archive(folder / "x.tar", images)


async def collect(pieces: AsyncIterator[bytes]) -> bytes:
    """All bytes of a blob; no piece is larger than promised."""
    found = [piece async for piece in pieces]
    assert max(map(len, found), default=0) <= CHUNK
    return b"".join(found)


async def check_whole(source: RegistrySource, image: SourceImage) -> None:
    """Every blob arrives whole, and from any offset on."""
    image_documents(image.documents())
    for layer in image.manifest.layers:
        data = await collect(source.open(layer))
        assert digests.of(data) == layer.digest
        assert await collect(source.open(layer, 1000)) == data[1000:]
        assert await collect(source.open(layer, layer.size)) == b""


async def test_private_registry_with_tls(registry: RegistryServer, archive: tuple[Path, list[WrittenImage]]) -> None:
    """An image of a registry with its own CA and credentials keeps every digest."""
    digest = registry.push(archive[0], "team/app:1")
    name = Reference.parse(f"{registry.host}/team/app:1")
    sources = [
        RegistrySource(name, credentials=Credentials(USERNAME, PASSWORD), ca_file=registry.ca_file),
        RegistrySource(name, auths=[{}, registry.dockerconfigjson()], ca_file=registry.ca_file),
        RegistrySource(name, auths=[registry.dockerconfigjson()], insecure=True),
    ]
    for source in sources:
        async with source:
            image = await source.image(name, ARM)
            assert image.digest == digest == archive[1][1].digest
            assert image.manifest.digest == archive[1][1].manifest_digest
            by_digest = await source.image(name.with_digest(digest), AMD)
            assert by_digest.manifest.digest == archive[1][0].manifest_digest
            await check_whole(source, image)
            assert [r.tag for r in await source.references()] == ["1"]
            with pytest.raises(PlatformMissing):
                await source.image(name, Platform.parse("linux/s390x"))
            with pytest.raises(ImageNotFound, match="it has the tags 1"):
                await source.image(name.with_tag("2"), AMD)
            with pytest.raises(BlobUnknown):
                await collect(source.open(Descriptor("", digests.of(b"no"), 2)))


async def test_plain_http_registry(open_registry: RegistryServer, archive: tuple[Path, list[WrittenImage]]) -> None:
    """Plain HTTP works where it was asked for, and nowhere else."""
    open_registry.push(archive[0], "app:1")
    name = Reference.parse(f"{open_registry.host}/app:1")
    async with RegistrySource(name, plain_http=True) as source:
        await check_whole(source, await source.image(None, AMD))
    async with RegistrySource(name) as source:
        with pytest.raises(SourceUnavailable) as caught:
            await source.image(name, AMD)
    assert "plain_http" in caught.value.hint


async def test_who_is_refused(registry: RegistryServer, archive: tuple[Path, list[WrittenImage]]) -> None:
    """No, wrong, and somebody else's credentials are refused, and the password is nowhere in the error."""
    registry.push(archive[0], "app:1")
    name = Reference.parse(f"{registry.host}/app:1")
    wrong = Credentials(USERNAME, "not the password")
    for credentials in (None, wrong, Credentials("nobody", PASSWORD)):
        async with RegistrySource(name, credentials=credentials, ca_file=registry.ca_file) as source:
            with pytest.raises(Unauthenticated) as caught:
                await source.image(name, AMD)
        shown = f"{caught.value.message} {caught.value.hint} {caught.value.fields} {caught.value!r} {credentials!r}"
        assert PASSWORD not in shown
        assert "not the password" not in shown


async def test_unknown_ca_is_refused(registry: RegistryServer) -> None:
    """A certificate nobody vouches for is not trusted."""
    name = Reference.parse(f"{registry.host}/app:1")
    async with RegistrySource(name, credentials=Credentials(USERNAME, PASSWORD)) as source:
        with pytest.raises(SourceUnavailable, match="No trusted connection") as caught:
            await source.image(name, AMD)
    assert "ca_file" in caught.value.hint


async def test_registry_that_is_gone(archive: tuple[Path, list[WrittenImage]]) -> None:
    """A registry that stops answers with its name in the error; when it is back the source goes on."""
    with RegistryServer(tls=False, auth=False) as server:
        server.push(archive[0], "app:1")
        name = Reference.parse(f"{server.host}/app:1")
        async with RegistrySource(name, plain_http=True) as source:
            image = await source.image(name, AMD)
            pieces = source.open(image.manifest.layers[0])
            data = await anext(pieces)
            server.stop()
            server.start()
            data += await collect(pieces)
            assert digests.of(data) == image.manifest.layers[0].digest
            server.stop()
            with pytest.raises(SourceUnavailable, match=server.host):
                await source.image(name, AMD)
