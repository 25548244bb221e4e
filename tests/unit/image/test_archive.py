"""limani.image.archive: the forms archives come in, and what is read from them."""

import asyncio
import gzip
import io
import json
import os
from pathlib import Path

import pytest

from limani.errors import BlobUnknown, ImageNotFound, PlatformMissing, SourceUnavailable
from limani.image import digest as digests
from limani.image import media
from limani.image.archive import ArchiveSource
from limani.image.manifest import Platform, image_documents
from limani.image.reference import Reference
from limani.image.source import CHUNK, SourceImage
from limani.image.writer import ImageToWrite, build_layer_from_files, write_archive
from tests.unit.image.archives import (
    AMD,
    ARM,
    FORMS,
    Pipe,
    Sample,
    as_file,
    collect,
    descriptor,
    docker_files,
    in_folder,
    make_tar,
    sample,
)

APP = Reference.parse("r.example/app:1")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return sample(tmp_path_factory.mktemp("app"))


async def check_whole(source: ArchiveSource, image: SourceImage) -> None:
    """The documents link up and every blob is what its descriptor says."""
    image_documents(image.documents())
    for layer in (*image.manifest.layers, image.manifest.config):
        data = await collect(source.open(layer))
        assert (digests.of(data), len(data)) == (layer.digest, layer.size)


@pytest.mark.parametrize("form", [*FORMS, "folder"])
async def test_oci_in_every_form(tmp_path: Path, app: Sample, form: str) -> None:
    """An OCI archive gives the same image, digest included, however it is packed."""
    source = ArchiveSource(in_folder(tmp_path, app.oci)) if form == "folder" else FORMS[form](tmp_path, app.oci)
    async with source:
        assert await source.references() == [APP]
        for wanted in (APP, None, APP.with_digest(app.digest)):
            image = await source.image(wanted, AMD)
            assert (image.digest, image.config.digest) == (app.digest, app.config_digest)
            assert image.reference == (wanted or APP)
        assert image.index is None
        assert image.manifest.layers == tuple(layer.descriptor for layer in app.layers)
        await check_whole(source, image)


@pytest.mark.parametrize("form", FORMS)
async def test_docker_archive_in_every_form(tmp_path: Path, app: Sample, form: str) -> None:
    """Old docker save: the image ID is the one Docker shows, layers go by their diffIDs, links followed."""
    files = docker_files(app)
    again = f"{9:064x}/layer.tar"  # docker writes a link for a layer that occurs twice
    config = json.loads(app.config)
    config["rootfs"]["diff_ids"].append(config["rootfs"]["diff_ids"][0])
    raw = json.dumps(config).encode()
    (manifest,) = json.loads(files["manifest.json"])
    manifest["Layers"].append(again)
    files[manifest["Config"]] = raw
    files["manifest.json"] = json.dumps([manifest]).encode()
    async with FORMS[form](tmp_path, make_tar(files, {again: f"../{0:064x}/layer.tar"})) as source:
        image = await source.image(APP, AMD)
        assert image.config.digest == digests.of(raw)
        diff_ids = [layer.diff_id for layer in app.layers]
        assert [layer.digest for layer in image.manifest.layers] == [*diff_ids, diff_ids[0]]
        assert {layer.media_type for layer in image.manifest.layers} == {media.OCI_LAYER}
        await check_whole(source, image)
        assert (await source.image(APP, AMD)).digest == image.digest


@pytest.mark.parametrize("form", FORMS)
async def test_docker_archive_with_packed_layers(tmp_path: Path, app: Sample, form: str) -> None:
    """Layers that are packed inside a docker-archive keep the digest and the kind they have there."""
    files = docker_files(app)
    name = f"{1:064x}/layer.tar"
    files[name] = app.layers[1].path.read_bytes()
    async with FORMS[form](tmp_path, make_tar(files)) as source:
        image = await source.image(None, AMD)
        assert image.manifest.layers == tuple(layer.descriptor for layer in app.layers)
        await check_whole(source, image)


async def test_docker_25_keeps_the_digests_of_the_source(tmp_path: Path, app: Sample) -> None:
    """An archive that is both OCI layout and docker-archive is read as OCI."""
    assert "manifest.json" in app.files
    async with as_file(tmp_path, app.oci) as source:
        assert (await source.image(None, AMD)).digest == app.digest
    only_docker = {name: data for name, data in app.files.items() if name not in ("index.json", "oci-layout")}
    async with as_file(tmp_path, make_tar(only_docker)) as source:
        image = await source.image(None, AMD)
        assert (image.config.digest, image.reference) == (app.config_digest, APP)


async def test_several_images(tmp_path: Path) -> None:
    """Each image of an archive is found by its names; without a name the error lists them."""
    layers = [build_layer_from_files({"/x": text}, tmp_path) for text in (b"a", b"b")]
    written = write_archive(
        tmp_path / "x.tar",
        [ImageToWrite(name, [layer], {}, AMD) for name, layer in zip(("one:1", "two:2"), layers, strict=True)],
    )
    async with ArchiveSource(tmp_path / "x.tar") as source:
        assert [str(r) for r in await source.references()] == ["docker.io/library/one:1", "docker.io/library/two:2"]
        found = [await source.image(Reference.parse(name), AMD) for name in ("one:1", "two:2")]
        assert [image.digest for image in found] == [result.digest for result in written]
        for wanted in (None, Reference.parse("three"), Reference.parse("one:2")):
            with pytest.raises(ImageNotFound, match="one:1, two:2") as caught:
                await source.image(wanted, AMD)
            assert caught.value.fields["found"] == ["one:1", "two:2"]


async def test_one_image_of_several_names(tmp_path: Path, app: Sample) -> None:
    """An image with two tags is still the only image."""
    files = docker_files(app, ["z:1", "a:1"])
    async with as_file(tmp_path, make_tar(files)) as source:
        assert str((await source.image(None, AMD)).reference) == "docker.io/library/a:1"
        assert [r.familiar() for r in await source.references()] == ["a:1", "z:1"]


async def test_image_without_a_name(tmp_path: Path) -> None:
    """An image saved by its ID has no reference; a mere tag as annotation is no name."""
    image = sample(tmp_path, None)
    async with as_file(tmp_path, image.oci) as source:
        assert (await source.image(None, AMD)).reference is None
        assert await source.references() == []
    files = image.files
    index = json.loads(files["index.json"])
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    files["index.json"] = json.dumps(index).encode()
    async with as_file(tmp_path, make_tar(files)) as source:
        assert await source.references() == []
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "r.example/app:1"}
    files["index.json"] = json.dumps(index).encode()
    async with as_file(tmp_path, make_tar(files)) as source:
        assert await source.references() == [APP]


@pytest.mark.parametrize("form", ["tar", "gzip"])
async def test_index_and_partial_index(tmp_path: Path, form: str) -> None:
    """Of an index the platform's image is taken, also where the archive lacks the other platforms' blobs."""
    layers = [build_layer_from_files({"/x": text}, tmp_path) for text in (b"a", b"b")]
    written = write_archive(
        tmp_path / "x.tar",
        [ImageToWrite("app:1", [layer], {}, where) for layer, where in zip(layers, (AMD, ARM), strict=True)],
    )
    data = (tmp_path / "x.tar").read_bytes()
    async with FORMS[form](tmp_path, data) as source:
        image = await source.image(None, ARM)
        assert image.index is not None
        assert (image.digest, image.manifest.digest) == (written[1].digest, written[1].manifest_digest)
        await check_whole(source, image)
        with pytest.raises(PlatformMissing, match=r"it has linux/amd64, linux/arm64\."):
            await source.image(None, Platform.parse("linux/s390x"))
    gone = {written[0].manifest_digest, written[0].config_digest, layers[0].descriptor.digest}
    with_one = {n: d for n, d in sample_files(data).items() if f"sha256:{n[-64:]}" not in gone}
    async with FORMS[form](tmp_path, make_tar(with_one)) as source:
        image = await source.image(None, ARM)
        assert image.digest == written[1].digest
        await check_whole(source, image)
        with pytest.raises(PlatformMissing, match=r"it has linux/arm64 \(listed, but not there: linux/amd64\)"):
            await source.image(None, AMD)


def sample_files(data: bytes) -> dict[str, bytes]:
    return Sample(data, [], "", "").files


async def test_wrong_platform_without_an_index(tmp_path: Path, app: Sample) -> None:
    """An image for one platform is refused on another, in both formats."""
    for data in (app.oci, make_tar(docker_files(app))):
        async with as_file(tmp_path, data) as source:
            with pytest.raises(PlatformMissing, match="is for linux/amd64, not for linux/arm64"):
                await source.image(APP, ARM)


@pytest.mark.parametrize("form", FORMS)
async def test_offset(tmp_path: Path, app: Sample, form: str) -> None:
    """A blob can be read from any byte on."""
    layer = app.layers[0].descriptor
    whole = app.layers[0].path.read_bytes()
    async with FORMS[form](tmp_path, app.oci) as source:
        await source.image(None, AMD)
        for offset in (0, 1, 511, layer.size - 1, layer.size):
            assert await collect(source.open(layer, offset)) == whole[offset:]


async def test_pieces_are_small(tmp_path: Path) -> None:
    """No piece is larger than a MiB."""
    image = sample(tmp_path, size=3 << 20)
    for form in ("tar", "gzip", "zstd"):
        async with FORMS[form](tmp_path, image.oci) as source:
            await source.image(None, AMD)
            sizes = [len(piece) async for piece in source.open(image.layers[0].descriptor)]
            assert max(sizes) <= CHUNK
            assert sum(sizes) == image.layers[0].descriptor.size


async def test_blobs_in_order_cost_one_pass(app: Sample) -> None:
    """A stream is opened once for its contents and once for all blobs asked in its order."""
    opened: list[Pipe] = []

    def opener() -> Pipe:
        opened.append(Pipe(app.oci))
        return opened[-1]

    async with ArchiveSource(opener=opener) as source:
        image = await source.image(None, AMD)
        for layer in image.manifest.layers:
            await collect(source.open(layer))
        assert len(opened) == 2
        for layer in reversed(image.manifest.layers):
            await collect(source.open(layer))
        assert len(opened) == 4
    assert all(pipe.closed for pipe in opened)


async def test_readers_at_once_and_readers_that_stop(app: Sample) -> None:
    """Several nodes may read at the same time, and one may go away in the middle."""
    opened: list[Pipe] = []

    def opener() -> Pipe:
        opened.append(Pipe(app.oci, 700))
        return opened[-1]

    async with ArchiveSource(opener=opener) as source:
        image = await source.image(None, AMD)
        layers = [*image.manifest.layers] * 4
        found = await asyncio.gather(*(collect(source.open(layer)) for layer in layers))
        assert [digests.of(data) for data in found] == [layer.digest for layer in layers]
        stopped = source.open(image.manifest.layers[0])
        await anext(stopped)
        await stopped.aclose()  # type: ignore[attr-defined]
        await check_whole(source, image)
    assert all(pipe.closed for pipe in opened)


async def test_cancelled_reader_closes_its_stream(app: Sample) -> None:
    """A reader cancelled while its thread is blocked in a read leaves nothing open."""
    import threading

    blocked, go_on = threading.Event(), threading.Event()
    opened: list[Pipe] = []

    class Slow(Pipe):
        def read(self, size: int = -1, /) -> bytes:
            if len(opened) > 1:
                blocked.set()
                assert go_on.wait(10)
            return super().read(size)

    def opener() -> Slow:
        opened.append(Slow(app.oci))
        return opened[-1]  # type: ignore[return-value]

    async with ArchiveSource(opener=opener) as source:
        image = await source.image(None, AMD)
        reading = asyncio.ensure_future(collect(source.open(image.manifest.layers[0])))
        await asyncio.to_thread(blocked.wait, 10)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        go_on.set()
        await check_whole(source, image)
    assert all(pipe.closed for pipe in opened)


async def test_unknown_blob(tmp_path: Path, app: Sample) -> None:
    """A blob that is not in the archive is said not to be there."""
    async with as_file(tmp_path, app.oci) as source:
        with pytest.raises(BlobUnknown):
            await collect(source.open(descriptor(b"elsewhere")))


async def test_stream_that_fails(app: Sample) -> None:
    """A socket that breaks is the source's fault, named by its origin."""

    def refused() -> io.BytesIO:
        raise ConnectionRefusedError(111, "Connection refused")

    class Breaking(Pipe):
        def read(self, size: int = -1, /) -> bytes:
            if self._at > 3000:
                raise ConnectionResetError(104, "Connection reset by peer")
            return super().read(min(size, 1000))

    for opener in (refused, lambda: Breaking(app.oci)):
        with pytest.raises(SourceUnavailable, match="docker socket"):
            async with ArchiveSource(opener=opener, origin="docker socket"):
                pass


async def test_path_that_cannot_be_read(tmp_path: Path) -> None:
    """What is missing or is a pipe is refused with its path."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent.tar", "pipe"):
        with pytest.raises(Exception, match=name) as caught:
            async with ArchiveSource(tmp_path / name):
                pass
        assert caught.value.code == "archive_invalid"  # type: ignore[attr-defined]


async def test_frames_and_members_of_packed_archives(tmp_path: Path, app: Sample) -> None:
    """Archives packed in several pieces (pigz, pzstd, skippable frames) are read as one."""
    from tests.unit.image.archives import zstd

    half = len(app.oci) // 2
    first, second = app.oci[:half], app.oci[half:]
    skippable = (0x184D2A51).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"xyz"
    for data in (gzip.compress(first) + gzip.compress(second), zstd(first) + skippable + zstd(second)):
        async with as_file(tmp_path, data) as source:
            await check_whole(source, await source.image(None, AMD))
