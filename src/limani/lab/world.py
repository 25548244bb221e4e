"""What a probe and a command can see of one started lesson."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limani.kube.session import KubeSession

if TYPE_CHECKING:
    from docker import DockerClient

CONTEXT = "limani-lab"
"""The one context of the lab's own kubeconfig."""
DOCKER_TIMEOUT_S = 10


@dataclass(frozen=True)
class World:
    """A started lesson. ``address``: where published ports answer. ``started``: Unix time. Close it after use.

    ``kubeconfig``, ``namespace``: None in lessons without a cluster; ``docker_host``: None in those without Docker.
    """

    lesson: str
    workspace: Path
    values: Mapping[str, str]
    namespace: str | None
    kubeconfig: Path | None
    docker_host: str | None
    address: str
    env: Mapping[str, str]
    started: float
    _open: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False, compare=False)

    async def kube(self) -> KubeSession:
        """The session with the lab's API server, one for all probes; raises LimaniError if there is no cluster."""
        async with self._lock:
            if "kube" not in self._open:
                self._open["kube"] = await asyncio.to_thread(KubeSession.open, str(self.kubeconfig), CONTEXT)
            session: KubeSession = self._open["kube"]
            return session

    async def docker(self) -> DockerClient:
        """The client of the lab's Docker daemon, one for all probes; call its methods through asyncio.to_thread."""
        async with self._lock:
            if "docker" not in self._open:
                self._open["docker"] = await asyncio.to_thread(self._docker)
            client: DockerClient = self._open["docker"]
            return client

    def _docker(self) -> DockerClient:
        from docker import DockerClient

        return DockerClient(base_url=self.docker_host, timeout=DOCKER_TIMEOUT_S)

    async def close(self) -> None:
        """Close what was opened; the world can be used again afterwards."""
        opened = dict(self._open)
        self._open.clear()
        if "kube" in opened:
            await opened["kube"].http.aclose()
        if "docker" in opened:
            await asyncio.to_thread(opened["docker"].close)

    async def __aenter__(self) -> World:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
