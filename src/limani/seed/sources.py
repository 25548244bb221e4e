"""From what a user names to a Source: archives, registries, local runtimes, nodes. Equal ones are opened once."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from limani.errors import BadInput, ImageNotFound, KubeError, SourceUnavailable
from limani.fleet.fleet import Fleet
from limani.image.archive import ArchiveSource
from limani.image.manifest import Descriptor
from limani.image.platform import Platform
from limani.image.reference import Reference
from limani.image.source import Source, SourceImage, image_of
from limani.kube.session import KubeSession
from limani.seed.job import Item


@dataclass(frozen=True)
class Registry:
    """How to speak to one registry host."""

    host: str
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    plain_http: bool = False
    insecure: bool = False

    def __repr__(self) -> str:
        return f"Registry({self.host!r})"  # the password must not get into logs


class Sources:
    """Opens sources on demand; use as an async context manager that closes all of them."""

    def __init__(
        self,
        fleet: Fleet | None,
        *,
        registries: Sequence[Registry] = (),
        auth_file: str | None = None,
        pull_secrets: Sequence[tuple[str, str]] = (),
    ) -> None:
        """``pull_secrets``: (namespace, name) of secrets of type kubernetes.io/dockerconfigjson."""
        self._fleet = fleet
        self._registries = {registry.host: registry for registry in registries}
        self._auth_file = auth_file
        self._pull_secrets = tuple(pull_secrets)
        self._auths: list[Mapping[str, Any]] | None = None
        self._open: dict[tuple[str, ...], Source] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def items(self, image: Mapping[str, Any]) -> list[Item]:
        """The images one entry of the user's list means: one, or all named ones of an archive.

        ``image``: name, source, archive, node, socket, containerd_namespace, platform (see ``k8s_node_image``).
        """
        name = Reference.parse(image["name"]) if image.get("name") else None
        platform = str(Platform.parse(image["platform"])) if image.get("platform") else ""
        source = await self._source(image, name)
        if name is not None:
            return [Item(source, name, platform=platform)]
        references = await source.references()
        if not references:
            raise ImageNotFound(f"{source.origin} holds no image with a name.", hint="Say which name it shall have.")
        return [Item(source, reference, platform=platform) for reference in references]

    async def _source(self, image: Mapping[str, Any], name: Reference | None) -> Source:
        kind = image.get("source") or ("archive" if image.get("archive") else "registry")
        if kind == "archive":
            path = Path(str(image["archive"])).expanduser()
            return await self._once(("archive", str(path)), lambda: ArchiveSource(path))
        if name is None:
            raise BadInput(f"An image from source {kind} needs a name.")
        if kind == "registry":
            await self._load_auths()
            return await self._once(("registry", name.registry, name.repository), lambda: self._registry(name))
        if kind == "docker":
            socket = image.get("socket") or ""
            return await self._once(("docker", socket, str(name)), lambda: docker_source(socket, name))
        if kind == "containerd":
            from limani.seed.local import ContainerdSource

            where = (
                image.get("socket") or "/run/containerd/containerd.sock",
                image.get("containerd_namespace") or "default",
            )
            return await self._once(("containerd", *where), lambda: ContainerdSource(*where))
        if kind == "node":
            if self._fleet is None:
                raise BadInput("An image from a node needs a cluster.")
            return await self._once(("node", str(image["node"])), lambda: self._node(str(image["node"])))
        raise BadInput(f"There is no source {kind!r}.")

    async def _once(self, key: tuple[str, ...], make: Any) -> Source:
        if key not in self._open:
            source: Source = make()
            self._open[key] = await self._stack.enter_async_context(source)
        return self._open[key]

    def _node(self, name: str) -> Source:
        assert self._fleet is not None
        return NodeSource(self._fleet, name)

    def _registry(self, name: Reference) -> Source:
        from limani.distribution.auth import Credentials
        from limani.distribution.client import RegistrySource

        how = self._registries.get(name.registry, Registry(name.registry))
        credentials = None
        if how.username is not None:
            credentials = Credentials(username=how.username, password=how.password or "")
        return RegistrySource(
            name,
            credentials=credentials,
            auths=self._auths or (),
            ca_file=how.ca_file,
            plain_http=how.plain_http,
            insecure=how.insecure,
        )

    async def _load_auths(self) -> None:
        """The dockerconfigjson documents to look credentials up in, first found wins: pull secrets, then the file."""
        if self._auths is not None:
            return
        self._auths = []
        for namespace, secret in self._pull_secrets:
            if self._fleet is None:
                raise BadInput("A pull secret needs a cluster.")
            self._auths.append(await read_pull_secret(self._fleet.session, namespace, secret))
        path = Path(self._auth_file or os.environ.get("REGISTRY_AUTH_FILE") or "~/.docker/config.json").expanduser()
        if self._auth_file or path.exists():
            self._auths.append(read_auth_file(path))


def read_auth_file(path: Path) -> Mapping[str, Any]:
    """A dockerconfigjson file. Raises BadInput; never quotes its content."""
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise BadInput(f"The registry credentials {path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise BadInput(f"The registry credentials {path} are not a dockerconfigjson file.") from error
    return document


async def read_pull_secret(session: KubeSession, namespace: str, name: str) -> Mapping[str, Any]:
    """The dockerconfigjson in a Secret. Raises BadInput, KubeError, Forbidden; never quotes its content."""
    secret = await session.find(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    if secret is None:
        raise BadInput(f"There is no pull secret {name} in namespace {namespace}.")
    try:
        raw = base64.b64decode(secret["data"][".dockerconfigjson"], validate=True)
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (KeyError, ValueError, msgspec.DecodeError) as error:
        text = f"The secret {namespace}/{name} is not of type kubernetes.io/dockerconfigjson."
        raise BadInput(text) from error


def docker_source(socket: str, name: Reference) -> Source:
    """An image of a local dockerd, read as ``docker save`` streams it: no copy on disk."""
    import docker
    import docker.errors
    import requests.exceptions

    def opener() -> Any:
        client = (
            docker.APIClient(base_url=f"unix://{socket}", version="auto", timeout=600)
            if socket
            else (docker.from_env(version="auto", timeout=600).api)
        )
        try:
            chunks = client.get_image(name.familiar())
        except docker.errors.ImageNotFound as error:
            raise ImageNotFound(f"The local Docker has no image {name.familiar()}.", hint="docker images") from error
        return IterReader(chunks)

    def guarded() -> Any:
        try:
            return opener()
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise SourceUnavailable(f"The local Docker does not answer: {error}.") from error

    return ArchiveSource(opener=guarded, origin=f"local Docker image {name.familiar()}")


class IterReader:
    """A file-like view of an iterator of bytes; nothing is kept but the current piece."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes (one piece if negative); b"" at the end."""
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        count = len(self._rest) if size < 0 else min(size, len(self._rest))
        taken, self._rest = self._rest[:count], self._rest[count:]
        return bytes(taken)

    def close(self) -> None:
        """End the stream; the daemon stops sending."""
        close = getattr(self._chunks, "close", None)
        if close:
            close()


class NodeSource:
    """Images a node of the cluster holds, read through its agent.

    The blobs normally go from node to node; they pass the controller only where that fails.
    """

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._agent = fleet.agent(name)
        self.node = name

    @property
    def origin(self) -> str:
        """What to call it in messages."""
        return f"node {self.node}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def references(self) -> list[Reference]:
        """All names the node has."""
        inventory = await self._agent.images()
        names = [name for image in inventory.images for name in image.references if not name.startswith("sha256:")]
        return sorted({Reference.parse(name) for name in names})

    async def image(self, reference: Reference | None, platform: Platform) -> SourceImage:
        """The image of that name; raises ImageNotFound, PlatformMissing."""
        if reference is None:
            raise BadInput(f"Say which image of node {self.node} is meant.")
        name = reference.name
        document = await self._document(name, reference.digest or reference.tag or "latest")
        return await image_of(self, reference, document, platform, lambda chosen: self._document(name, chosen.digest))

    async def _document(self, repository: str, reference: str) -> bytes:
        try:
            return (await self._agent.manifest(repository, reference))[1]
        except KubeError as error:
            if error.fields.get("status") == 404:
                raise ImageNotFound(f"Node {self.node} has no image {repository}:{reference}.") from error
            raise

    def open(self, descriptor: Descriptor, offset: int = 0) -> AsyncIterator[bytes]:
        """The bytes of a blob; the receiving agent verifies them."""
        return self._agent.read_blob(descriptor.digest, offset)
