"""What every Engine must do. Inherit ``EngineConformance`` and give it a fixture ``engine``."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from limani.engine.base import Engine
from limani.engine.target import Target
from limani.errors import BlobUnknown, DigestMismatch, ImageNotFound, RuntimeFailed, Unsupported
from tests.unit.engine.samples import Arrival, Sample, arrived, layer, sample


def named(prefix: str = "conformance") -> str:
    """A reference nobody else uses."""
    return f"{prefix}/{os.urandom(4).hex()}:1"


async def put(
    engine: Engine, image: Sample, folder: Path, *, backwards: bool = False, only: set[str] | None = None
) -> bool:
    """Import an image as the agent does (``only`` some of its layers); returns whether anything changed."""
    files = image.files(folder)
    async with engine.session(image.target) as session:
        lacking = session.lacking()
        for item in reversed(lacking) if backwards else lacking:
            if only is not None and item.descriptor.digest not in only:
                continue
            await session.put_blob(item, arrived(files[item.descriptor.digest]))
        return await session.finish()


async def broken_off(engine: Engine, target: Target, files: Mapping[str, Path]) -> None:
    """An import that ends by an exception (ZeroDivisionError) after its last layer."""
    async with engine.session(target) as session:
        for item in session.lacking():
            await session.put_blob(item, arrived(files[item.descriptor.digest]))
        raise ZeroDivisionError


@asynccontextmanager
async def being_put(engine: Engine, folder: Path) -> AsyncIterator[tuple[asyncio.Task[None], Arrival, bytes]]:
    """An image whose only layer is put before its first byte has come; after the block it must be there."""
    image = sample(named(), [layer(700_000, compress=False)])
    [item], [data] = image.target.layers, image.blobs.values()
    blob = Arrival(folder / "blob", len(data))
    async with engine.session(image.target) as session, asyncio.timeout(60):
        putting = asyncio.create_task(session.put_blob(item, blob))
        yield putting, blob, data
        await putting
        assert await session.finish()
    assert (await engine.plan(image.target)).state == "present"


def missing(plan_blobs: object) -> list[str]:
    return [blob.digest for blob in plan_blobs]  # type: ignore[attr-defined]


class EngineConformance:
    """Tests of the ``Engine`` protocol."""

    async def test_status(self, engine: Engine) -> None:
        """An engine that answers says so, with a version."""
        status = await engine.status()
        assert status.ok
        assert status.version
        assert not status.error

    async def test_image_that_is_absent(self, engine: Engine) -> None:
        """Of an image the engine never saw, every layer is missing, in order."""
        image = sample(named())
        plan = await engine.plan(image.target)
        assert plan.state == "absent"
        assert missing(plan.missing) == list(image.blobs)
        assert plan.found == ""

    @pytest.mark.parametrize("index", [False, True], ids=["manifest", "index"])
    async def test_import(self, engine: Engine, tmp_path: Path, index: bool) -> None:
        """After an import the image is present under its canonical name and listed with its platform."""
        image = sample(named(), index=index)
        assert await put(engine, image, tmp_path)
        plan = await engine.plan(image.target)
        assert (plan.state, plan.missing) == ("present", ())
        name = str(image.target.reference)
        [stored] = [item for item in await engine.images() if name in item.references]
        assert stored.config_digest == image.target.config.digest
        assert stored.platform == str(image.target.config.platform)
        assert stored.created == "2026-01-01T00:00:00Z"
        assert stored.used_by == ()
        if engine.keeps_blobs:
            assert stored.digest == image.target.digest

    async def test_layers_in_any_order(self, engine: Engine, tmp_path: Path) -> None:
        """A layer may be put before its parents."""
        image = sample(named(), [layer(), layer(compress=False), layer()])
        assert await put(engine, image, tmp_path, backwards=True)
        assert (await engine.plan(image.target)).state == "present"

    async def test_layer_that_arrives_while_it_is_put(self, engine: Engine, tmp_path: Path) -> None:
        """A layer may be put before its first byte has come; pieces of any length follow, then it is verified."""
        async with being_put(engine, tmp_path) as (putting, blob, data):
            for start, end in itertools.pairwise((0, 1, 300_000, 600_000, len(data))):
                blob.add(data[start:end])
                await asyncio.sleep(0)
            assert not putting.done()
            blob.verify()

    async def test_layer_that_arrives_damaged_and_again(self, engine: Engine, tmp_path: Path) -> None:
        """What is thrown away because it was damaged is thrown away by the engine too."""
        async with being_put(engine, tmp_path) as (_, blob, data):
            blob.add(b"x" * len(data))
            await asyncio.sleep(0)
            blob.rewind()
            blob.add(data)
            blob.verify()

    async def test_same_layer_twice(self, engine: Engine, tmp_path: Path) -> None:
        """An image may contain the same layer more than once."""
        twice = layer(files={"empty": b""})
        image = sample(named(), [twice, layer(), twice])
        assert await put(engine, image, tmp_path)
        assert (await engine.plan(image.target)).state == "present"

    async def test_second_import_changes_nothing(self, engine: Engine, tmp_path: Path) -> None:
        """Importing what is there changes nothing and says so."""
        image = sample(named())
        assert await put(engine, image, tmp_path)
        assert not await put(engine, image, tmp_path)

    async def test_only_the_changed_layer_is_missing(self, engine: Engine, tmp_path: Path) -> None:
        """Layers that an image shares with one that is there are not asked for again; the tag moves."""
        base = layer(5000)
        name = named()
        await put(engine, sample(name, [base, layer()]), tmp_path)
        changed = sample(name, [base, layer()])
        plan = await engine.plan(changed.target)
        assert plan.state == "differs"
        assert missing(plan.missing) == list(changed.blobs)[1:]
        assert await put(engine, changed, tmp_path)
        assert (await engine.plan(changed.target)).state == "present"

    async def test_unfinished_session_leaves_nothing(self, engine: Engine, tmp_path: Path) -> None:
        """A session that ends by an exception has named nothing, and what it brought is missing as before."""
        image = sample(named())
        files = image.files(tmp_path)
        with pytest.raises(ZeroDivisionError):
            await broken_off(engine, image.target, files)
        plan = await engine.plan(image.target)
        assert plan.state == "absent"
        assert missing(plan.missing) == list(image.blobs)

    async def test_layer_not_put(self, engine: Engine, tmp_path: Path) -> None:
        """An image with a hole is not named."""
        image = sample(named())
        first = image.target.layers[0].descriptor.digest
        with pytest.raises(BlobUnknown):
            await put(engine, image, tmp_path, only={first})
        assert (await engine.plan(image.target)).state == "absent"

    async def test_forged_layer(self, engine: Engine, tmp_path: Path) -> None:
        """A layer that unpacks to something else than its configuration says is refused, and nothing is named."""
        good, other = layer(), layer()
        image = sample(named(), [good, layer()], diff_ids=[good.diff_id, other.diff_id])
        with pytest.raises((DigestMismatch, RuntimeFailed)):
            await put(engine, image, tmp_path)
        assert (await engine.plan(image.target)).state == "absent"

    async def test_remove_one_of_two_names(self, engine: Engine, tmp_path: Path) -> None:
        """Removing a name leaves the image under its other name; with the last name its content goes."""
        layers = [layer(), layer()]
        first, second = sample(named(), layers), sample(named(), layers)
        await put(engine, first, tmp_path)
        await put(engine, second, tmp_path)
        assert await engine.remove(str(first.target.reference))
        assert (await engine.plan(second.target)).state == "present"
        assert (await engine.plan(first.target)).state == "absent"
        assert await engine.remove(str(second.target.reference))
        assert missing((await engine.plan(second.target)).missing) == list(second.blobs)

    async def test_remove_unknown_name(self, engine: Engine) -> None:
        """Removing what is not there changes nothing and is no error."""
        assert not await engine.remove(str(Target.parse(sample(named()).spec).reference))

    async def test_blobs_can_be_read_back(self, engine: Engine, tmp_path: Path) -> None:
        """An engine that keeps blobs serves them, whole and in parts; one that does not says that it has none."""
        image = sample(named(), [layer(200_000)])
        await put(engine, image, tmp_path)
        [(digest, data)] = image.blobs.items()
        if not engine.keeps_blobs:
            assert await engine.blob_size(digest) is None
            return
        assert await engine.blob_size(digest) == len(data)
        assert b"".join([piece async for piece in engine.read_blob(digest)]) == data
        assert b"".join([piece async for piece in engine.read_blob(digest, 1000, 50)]) == data[1000:1050]

    async def test_unknown_blob(self, engine: Engine) -> None:
        """A blob nobody put has no size."""
        assert await engine.blob_size("sha256:" + "ab" * 32) is None

    async def test_pin(self, engine: Engine, tmp_path: Path) -> None:
        """Pins are set, seen, and taken off, or refused by name where the engine has none."""
        image = sample(named())
        await put(engine, image, tmp_path)
        name = str(image.target.reference)
        if not (await engine.status()).pin:
            with pytest.raises(Unsupported):
                await engine.pin(name, True)
            return
        assert await engine.pin(name, True)
        assert not await engine.pin(name, True)
        assert (await engine.plan(image.target)).pinned
        assert [item.pinned for item in await engine.images() if name in item.references] == [True]
        assert await engine.pin(name, False)
        assert not (await engine.plan(image.target)).pinned

    async def test_pin_with_import(self, engine: Engine, tmp_path: Path) -> None:
        """An import may ask for the pin; an image that is there without it differs."""
        name = named()
        layers = [layer()]
        await put(engine, sample(name, layers), tmp_path)
        image = sample(name, layers, pin=True)
        if not (await engine.status()).pin:
            with pytest.raises(Unsupported):
                await put(engine, image, tmp_path)
            return
        assert (await engine.plan(image.target)).state == "differs"
        assert await put(engine, image, tmp_path)
        assert not await put(engine, image, tmp_path)
        plan = await engine.plan(image.target)
        assert (plan.state, plan.pinned) == ("present", True)

    async def test_pin_of_unknown_image(self, engine: Engine) -> None:
        """An image that is not there cannot be unpinned."""
        with pytest.raises(ImageNotFound):
            await engine.pin(str(Target.parse(sample(named()).spec).reference), False)

    async def test_resolve(self, engine: Engine, tmp_path: Path) -> None:
        """A name leads to the document it was given for, where the engine keeps documents."""
        image = sample(named(), index=True)
        await put(engine, image, tmp_path)
        document = await engine.resolve(str(image.target.reference))
        if engine.keeps_blobs:
            assert document == image.spec.documents[0]
        assert await engine.resolve("docker.io/conformance/unknown:1") is None
