"""The interface of a node's image store. ``tests/.../conformance.py`` states what every implementation must do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

from limani.engine.target import Layer, Target
from limani.wire import Disk, Document, EngineStatus, ImagePlan, StoredImage


class Arriving(Protocol):
    """A layer's blob, which need not be complete: a file that grows.

    ``received`` bytes of ``size`` are there; only when it is ``verified`` are they known to be the blob's. ``epoch``
    grows when what had arrived turned out to be damaged: ``path`` is then a new file.
    """

    path: Path
    size: int
    received: int
    verified: bool
    epoch: int

    async def changed(self) -> None:
        """Wait until one of these changes."""


class ImportSession(Protocol):
    """One image on its way into the store.

    Nothing of it is visible before ``finish``. Leaving the session by an exception (cancellation included) takes
    everything back that only this session needed.
    """

    def lacking(self) -> tuple[Layer, ...]:
        """The layers the store needs for this image, asked right after the session has begun.

        May be more than ``plan`` said: what was there then may have been collected since. What is not named here is
        kept for as long as the session lasts.
        """

    async def put_blob(self, layer: Layer, blob: Arriving) -> None:
        """Take a layer, as it arrives or afterwards, until it is verified; in any order, several at once.

        Raises RuntimeUnavailable, RuntimeFailed, DigestMismatch (the unpacked layer has another diffID).
        """

    async def finish(self) -> bool:
        """Wait for what is unpacked, name the image, pin it if asked; returns whether anything changed on the node.

        Raises as ``put_blob``; BlobUnknown when a layer the node lacked was not put.
        """


class Engine(Protocol):
    """A container runtime's image store. All methods raise RuntimeUnavailable when it does not answer."""

    name: Literal["containerd", "docker"]
    keeps_blobs: bool
    """Whether blobs put are kept as they are, so that they can be read back and the spool file may go at once."""

    async def status(self) -> EngineStatus:
        """Version and health; never raises (an engine that is down says so in ``error``)."""

    async def disks(self) -> tuple[Disk, ...]:
        """The file systems the store lives on, as far as they can be seen."""

    async def images(self) -> list[StoredImage]:
        """All images, sorted by their first reference."""

    async def plan(self, target: Target, *, held: bool = True) -> ImagePlan:
        """What the node lacks of an image. Nothing is changed.

        Without ``held`` the plan need not say which blobs could be served to others, for which each must be looked up.
        """

    async def blob_size(self, digest: str) -> int | None:
        """Size in bytes of a blob the store can serve, None if it has none such."""

    def read_blob(self, digest: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a blob. Raises BlobUnknown."""

    async def resolve(self, reference: str) -> Document | None:
        """The document a name (canonical form) points to, None if the name is unknown."""

    def session(self, target: Target) -> AbstractAsyncContextManager[ImportSession]:
        """Start to import an image. Raises Unsupported if it shall be pinned and the engine cannot pin."""

    async def remove(self, reference: str, *, force: bool = False) -> bool:
        """Remove one name (canonical form), and the image's content with its last name.

        Returns False if the name is unknown. Raises ImageInUse unless ``force``.
        """

    async def pin(self, reference: str, pinned: bool) -> bool:
        """Protect an image from the kubelet's garbage collection, or stop doing so; returns whether that changed.

        Raises ImageNotFound, Unsupported.
        """

    async def clean(self) -> None:
        """Drop what a dead predecessor of this agent left half done."""

    async def close(self) -> None:
        """Release connections."""
