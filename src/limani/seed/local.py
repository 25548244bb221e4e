"""Images of the containerd on this machine, read over gRPC as the agents do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Self

from limani.engine.containerd.engine import Containerd
from limani.errors import BadInput, BlobUnknown, ImageNotFound, SourceUnavailable
from limani.image.manifest import Descriptor
from limani.image.platform import Platform
from limani.image.reference import Reference
from limani.image.source import SourceImage, image_of, read_document


class ContainerdSource:
    """A namespace of a containerd, by its socket. Raises SourceUnavailable when it does not answer."""

    def __init__(self, socket: str, namespace: str) -> None:
        self._engine = Containerd(socket, owner="", namespace=namespace)
        self.origin = f"local containerd {socket}, namespace {namespace}"

    async def __aenter__(self) -> Self:
        status = await self._engine.status()
        if not status.ok:
            await self._engine.close()
            raise SourceUnavailable(f"{self.origin} does not answer: {status.error}.")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._engine.close()

    async def references(self) -> list[Reference]:
        """All names, without CRI's own sha256 records."""
        names = {name for image in await self._engine.images() for name in image.references}
        return sorted(Reference.parse(name) for name in names if not name.startswith("sha256:"))

    async def image(self, reference: Reference | None, platform: Platform) -> SourceImage:
        """The image of that name; raises ImageNotFound, PlatformMissing."""
        if reference is None:
            raise BadInput(f"Say which image of {self.origin} is meant.")
        document = await self._engine.resolve(str(reference))
        if document is None:
            names = ", ".join(str(name) for name in (await self.references())[:10]) or "none"
            raise ImageNotFound(f"{self.origin} has no image {reference}; it has {names}.")
        return await image_of(self, reference, document.data, platform, partial(read_document, self))

    async def open(self, descriptor: Descriptor, offset: int = 0) -> AsyncIterator[bytes]:
        """The bytes of a blob; the receiving agent verifies them."""
        try:
            async for chunk in self._engine.read_blob(descriptor.digest, offset):
                yield chunk
        except BlobUnknown as error:
            raise SourceUnavailable(f"{self.origin} lacks {descriptor.digest}, which the image needs.") from error
