"""dockerd as an ``Engine``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from limani.engine.base import Arriving, ImportSession
from limani.engine.disks import disks_of
from limani.engine.docker.api import DockerApi
from limani.engine.docker.archive import partial_archive
from limani.engine.target import Layer, Target
from limani.errors import (
    BlobUnknown,
    ImageInUse,
    ImageNotFound,
    LimaniError,
    ReferenceInvalid,
    RuntimeFailed,
    Unsupported,
)
from limani.image import media
from limani.image.manifest import chain_ids
from limani.image.platform import Platform
from limani.image.reference import Reference
from limani.wire import Disk, Document, EngineStatus, ImagePlan, StoredImage

PATIENCE_S = 10.0
"""How long a small request waits for a dockerd that restarts; its caller does not wait for ever."""
ZSTD_SINCE = 23
"""First major version whose loader unpacks zstd."""


class Docker:
    """dockerd's image store (see ``engine.base.Engine``).

    dockerd gives no layers back as they came, so this engine serves no blobs; it cannot pin either.
    """

    name: Literal["containerd", "docker"] = "docker"
    keeps_blobs = False

    def __init__(self, socket: str, *, disks: tuple[str, ...] = ()) -> None:
        self.api = DockerApi(socket)
        self._disks = disks
        self._inspected: dict[str, dict[str, Any]] = {}  # by image ID; what is read of it never changes
        self._loading = asyncio.Lock()

    async def close(self) -> None:
        """See ``Engine``."""
        await self.api.close()

    async def clean(self) -> None:
        """See ``Engine``: dockerd cleans up after a load that was broken off."""

    async def status(self) -> EngineStatus:
        """See ``Engine``."""
        try:
            async with asyncio.timeout(5):
                version = await self.api.request("GET", "/version")
        except LimaniError as error:
            return EngineStatus("docker", "", ok=False, pin=False, error=error.message)
        except TimeoutError:
            return EngineStatus("docker", "", ok=False, pin=False, error="dockerd does not answer.")
        return EngineStatus("docker", str(version.get("Version", "")), ok=True, pin=False)

    async def disks(self) -> tuple[Disk, ...]:
        """See ``Engine``."""
        return await asyncio.to_thread(disks_of, self._disks)

    async def images(self) -> list[StoredImage]:
        """See ``Engine``."""
        summaries = await self.api.request("GET", "/images/json")
        used = await self._users()
        details = {summary["Id"]: await self._inspect(summary["Id"]) for summary in summaries}
        self._inspected = {key: value for key, value in self._inspected.items() if key in details}
        found = [_stored(summary, details[summary["Id"]] or {}, used) for summary in summaries]
        return sorted(found, key=lambda image: (image.references or ("~",), image.config_digest))

    async def _inspect(self, image_id: str) -> dict[str, Any] | None:
        known = self._inspected.get(image_id)
        if known is None:
            known = await self.api.image(image_id)
            if known is not None:
                self._inspected[image_id] = known
        return known

    async def _users(self) -> dict[str, tuple[str, ...]]:
        """Image ID -> names of the containers that are created, running, paused or restarting."""
        found: dict[str, list[str]] = {}
        for container in await self.api.request("GET", "/containers/json", all="1"):
            if container.get("State") not in ("exited", "dead", "removing"):
                names = [name.lstrip("/") for name in container.get("Names") or ()] or [container["Id"][:12]]
                found.setdefault(str(container.get("ImageID")), []).append(names[0])
        return {image: tuple(sorted(names)) for image, names in found.items()}

    async def _chains(self) -> set[str]:
        """ChainIDs of every layer the daemon's images have."""
        chains: set[str] = set()
        for summary in await self.api.request("GET", "/images/json", all="1"):
            details = await self._inspect(summary["Id"]) or {}
            chains.update(chain_ids((details.get("RootFS") or {}).get("Layers") or ()))
        return chains

    async def lacking(self, target: Target) -> tuple[Layer, ...]:
        """The layers that have to be loaded: those above the highest chain the daemon has."""
        chains = await self._chains()
        for number in range(len(target.layers), 0, -1):
            if target.layers[number - 1].chain_id in chains:
                return target.layers[number:]
        return target.layers

    async def plan(self, target: Target, *, held: bool = True) -> ImagePlan:
        """See ``Engine``."""
        return await self.api.redo(lambda: self._plan(target), PATIENCE_S)

    async def _plan(self, target: Target) -> ImagePlan:
        here = await self.api.image(str(target.reference))
        if here is not None and is_same(here, target):
            return ImagePlan(str(target.reference), "present", (), (), found=target.digest)
        lacking = {layer.descriptor.digest: layer.blob for layer in await self.lacking(target)}
        found = str(here.get("Id", "")) if here else ""
        return ImagePlan(
            str(target.reference), "differs" if here else "absent", tuple(lacking.values()), (), found=found
        )

    async def blob_size(self, digest: str) -> int | None:
        """See ``Engine``."""
        return None

    def read_blob(self, digest: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See ``Engine``."""
        raise BlobUnknown(f"dockerd serves no blobs, so not {digest} either.", digest=digest)

    async def resolve(self, reference: str) -> Document | None:
        """See ``Engine``."""
        return None

    def session(self, target: Target) -> AbstractAsyncContextManager[ImportSession]:
        """See ``Engine``. Raises Unsupported also for what dockerd cannot name or unpack."""
        return _session(self, target)

    async def refuse(self, target: Target) -> None:
        """Raise Unsupported for what this dockerd cannot do."""
        if target.pin:
            raise Unsupported("dockerd has no pinning: nothing collects its images, and nothing would heed a pin.")
        if not target.reference.tag:
            raise Unsupported(f"dockerd can load an image under a tag only, not under {target.reference}.")
        if any(media.layer_compression(layer.media_type) == "zstd" for layer in target.manifest.layers):
            version = (await self.status()).version
            major = re.match(r"\d+", version)
            if major and int(major.group()) < ZSTD_SINCE:
                raise Unsupported(f"dockerd {version} does not unpack zstd layers; {ZSTD_SINCE}.0 and newer do.")

    async def load(self, target: Target, layers: dict[str, Path]) -> None:
        """Load an image from these layers and what the daemon has, and verify that it did."""

        async def step() -> None:
            await self.api.load(partial_archive(target, layers))
            here = await self.api.image(str(target.reference))
            if here is None or not is_same(here, target):
                raise RuntimeFailed(
                    f"dockerd loaded {target.reference}, but what it has under this name is not the image sent.",
                    expected=target.config.digest,
                    found=str((here or {}).get("Id", "")),
                )

        async with self._loading:
            await self.api.redo(step)

    async def remove(self, reference: str, *, force: bool = False) -> bool:
        """See ``Engine``."""
        try:
            query = {"force": "1"} if force else {}
            await self.api.request("DELETE", f"/images/{quote(reference, safe='')}", **query)
        except ImageNotFound:
            return False
        except ImageInUse as error:
            here = await self.api.image(reference) or {}
            names = (await self._users()).get(str(here.get("Id")), ())
            raise ImageInUse(error.message, reference=reference, used_by=list(names)) from error
        return True

    async def pin(self, reference: str, pinned: bool) -> bool:
        """See ``Engine``: nothing is ever pinned."""
        if await self.api.image(reference) is None:
            raise ImageNotFound(f"dockerd has no image {reference}.", reference=reference)
        if pinned:
            raise Unsupported("dockerd has no pinning: nothing collects its images, and nothing would heed a pin.")
        return False


class _Session:
    """``engine.base.ImportSession`` for dockerd: one load, at the end."""

    def __init__(self, engine: Docker, target: Target, lacking: tuple[Layer, ...]) -> None:
        self._engine, self._target, self._lacking = engine, target, lacking
        self._layers: dict[str, Path] = {}

    def lacking(self) -> tuple[Layer, ...]:
        """See ``ImportSession``."""
        return self._lacking

    async def put_blob(self, layer: Layer, blob: Arriving) -> None:
        """See ``ImportSession``; the file must stay until ``finish``, because the daemon takes all layers at once."""
        while not blob.verified:
            await blob.changed()
        self._layers[layer.descriptor.digest] = blob.path

    async def finish(self) -> bool:
        """See ``ImportSession``."""
        for layer in self._lacking:
            digest = layer.descriptor.digest
            if digest not in self._layers:
                raise BlobUnknown(f"Layer {digest} of {self._target.reference} was not put.", digest=digest)
        here = await self._engine.api.image(str(self._target.reference))
        if here is not None and is_same(here, self._target):
            return False
        await self._engine.load(self._target, self._layers)
        return True


@asynccontextmanager
async def _session(engine: Docker, target: Target) -> AsyncIterator[ImportSession]:
    await engine.refuse(target)
    yield _Session(engine, target, await engine.api.redo(lambda: engine.lacking(target)))


def is_same(here: dict[str, Any], target: Target) -> bool:
    """Whether an inspected image is the target: by configuration (graph drivers) or manifest (containerd store)."""
    layers = tuple((here.get("RootFS") or {}).get("Layers") or ())
    known = {target.config.digest, target.manifest.digest, target.digest}
    return layers == target.config.diff_ids and here.get("Id") in known


def _stored(summary: dict[str, Any], details: dict[str, Any], used: dict[str, tuple[str, ...]]) -> StoredImage:
    image_id = str(summary["Id"])
    names = [name for name in summary.get("RepoTags") or () if name != "<none>:<none>"]
    digests = [name for name in summary.get("RepoDigests") or () if name != "<none>@<none>"]
    # The containerd store shows the target's descriptor; its image ID is that digest, not the configuration's.
    descriptor = details.get("Descriptor") or {}
    digest = str(descriptor.get("digest") or (digests[0].partition("@")[2] if digests else ""))
    platform = Platform.of(
        str(details.get("Os") or "linux"), str(details.get("Architecture") or ""), str(details.get("Variant") or "")
    )
    last_tagged = str((details.get("Metadata") or {}).get("LastTagTime") or "")
    return StoredImage(
        digest=digest,
        config_digest="" if descriptor else image_id,
        references=tuple(sorted(filter(None, map(_canonical, (*names, *digests))))),
        size=int(summary.get("Size") or 0),
        platform=str(platform) if details else "",
        created=str(details.get("Created") or ""),
        stored="" if last_tagged.startswith("0001-") else last_tagged,
        used_by=used.get(image_id, ()),
    )


def _canonical(name: str) -> str:
    try:
        return str(Reference.parse(name))
    except ReferenceInvalid:
        return ""
