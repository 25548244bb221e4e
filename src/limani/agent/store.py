"""This node as an OCI registry: blobs of spool and engines, manifests of the engines' images.

A manifest that is put becomes an image of the node under ``repository:tag``, by the same run a seed request makes; so
``skopeo copy`` or ``docker push`` to an agent puts an image onto its node.
"""

from __future__ import annotations

from limani import wire
from limani.agent.blobs import Blobs
from limani.agent.routes import Service
from limani.errors import BlobUnknown, ImageNotFound, PlatformMissing
from limani.image.manifest import MAX_DOCUMENT, ImageConfig, Index, Manifest, parse_document
from limani.image.platform import Platform
from limani.image.reference import Reference


class NodeStore(Blobs):
    """``limani.distribution.store.Store`` of a node."""

    def __init__(self, service: Service, *, patient: bool) -> None:
        super().__init__(service.spool, service.engines, patient=patient, served=self._served)
        self._service = service
        self._to = "peer" if patient else "client"

    def _served(self, size: int) -> None:
        self._service.metrics.bytes_out.labels(self._to).inc(size)

    async def get_manifest(self, repository: str, reference: str) -> tuple[str, bytes, str]:
        """See ``Store``."""
        if ":" in reference:
            raw = await self.document(reference, MAX_DOCUMENT)
            if raw is not None:
                return parse_document(raw).media_type, raw, reference
        else:
            name = str(Reference.parse(f"{repository}:{reference}"))
            for engine in self._service.engines:
                document = await engine.resolve(name)
                if document is not None:
                    return document.media_type, document.data, parse_document(document.data).digest
        raise ImageNotFound(f"Node {self._service.node} has no manifest {reference} of {repository}.")

    async def put_manifest(self, repository: str, reference: str, media_type: str, raw: bytes) -> str:
        """See ``Store``. One pushed by digest that is for another platform is kept for the index to come."""
        document = parse_document(raw)
        await self._spool.keep(document.digest, raw)
        by_digest = ":" in reference
        if isinstance(document, Index):
            manifest = await self._manifest(document)
            documents = [wire.Document(media_type, raw)]
        else:
            manifest, documents = document, []
        documents.append(wire.Document(manifest.media_type, manifest.raw))
        config = await self._needed(manifest.config.digest)
        documents.append(wire.Document(manifest.config.media_type, config))
        foreign = Platform.host().runs(ImageConfig.parse(config).platform) is None
        if by_digest and (foreign or not self._service.engines[0].keeps_blobs):
            return document.digest
        if foreign:
            raise PlatformMissing(f"The image is for {ImageConfig.parse(config).platform}, not for this node.")
        separator = "@" if by_digest else ":"
        spec = wire.ImageSpec(f"{repository}{separator}{reference}", tuple(documents))
        await self._import(spec)
        return document.digest

    async def _manifest(self, index: Index) -> Manifest:
        entry = index.select(Platform.host())
        return Manifest.parse(await self._needed(entry.digest))

    async def _needed(self, digest: str) -> bytes:
        raw = await self.document(digest, MAX_DOCUMENT)
        if raw is None:
            raise BlobUnknown(f"The manifest names {digest}, which was not sent.", digest=digest)
        return raw

    async def _import(self, spec: wire.ImageSpec) -> None:
        request = wire.SeedRequest((spec,))
        run = self._service.run(self._service.engines[0], request, lambda event: None)
        try:
            await run.prepare()
            run.require()
            await run.go()
        finally:
            run.close()

    async def delete_manifest(self, repository: str, reference: str) -> None:
        """See ``Store``; a digest takes all names the repository has for it."""
        engine = self._service.engines[0]
        wanted = Reference.parse(f"{repository}:x").name
        if ":" in reference:
            images = [image for image in await engine.images() if image.digest == reference]
            names = [name for image in images for name in image.references if Reference.parse(name).name == wanted]
        else:
            names = [f"{wanted}:{reference}"]
        removed = [await engine.remove(name) for name in names]
        if not any(removed):
            raise ImageNotFound(f"Node {self._service.node} has no manifest {reference} of {repository}.")

    async def tags(self, repository: str) -> list[str]:
        """See ``Store``."""
        wanted = Reference.parse(f"{repository}:x").name
        found: set[str] = set()
        for engine in self._service.engines:
            for image in await engine.images():
                names = [Reference.parse(name) for name in image.references]
                found.update(name.tag or "" for name in names if name.name == wanted)
        if not found:
            raise ImageNotFound(f"Node {self._service.node} has no image of {repository}.", repository=repository)
        return sorted(found - {""})
