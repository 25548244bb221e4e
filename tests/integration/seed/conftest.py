"""Agents on the lab cluster, and a way to disturb a seeding run at a chosen moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from images.agent.build import build
from limani.cluster.native.cluster import NativeCluster
from limani.deploy.task import node_agent
from limani.errors import SomeNodesFailed
from limani.seed.task import node_image
from tests.support.images import make_archive

MB = 1_000_000


def quiet(line: str) -> None:
    """Progress nobody reads."""


class Seeder:
    """Seeds, removes and looks on one cluster."""

    def __init__(self, cluster: NativeCluster) -> None:
        self.cluster = cluster
        self.kubeconfig = str(cluster.kubeconfig)

    def run(self, *, check: bool = False, on_bytes: Any = None, **params: Any) -> dict[str, Any]:
        """One call of the library function behind ``k8s_node_image``."""
        return node_image({"kubeconfig": self.kubeconfig, **params}, check=check, progress=quiet, on_bytes=on_bytes)

    def put(self, archive: Path, **params: Any) -> dict[str, Any]:
        """Seed the images of an archive."""
        return self.run(images=[{"archive": str(archive)}], **params)

    def put_and_fail(self, archive: Path, **params: Any) -> dict[str, Any]:
        """Seed, expecting at least one node to fail; returns the fields of the error, which are the result's."""
        with pytest.raises(SomeNodesFailed) as caught:
            self.put(archive, **params)
        return caught.value.fields

    def remove(self, *names: str, **params: Any) -> dict[str, Any]:
        """Remove names from all nodes."""
        return self.run(state="absent", images=[{"name": name} for name in names], **params)

    def names(self, node: str) -> set[str]:
        """What CRI on the node says it has, asked without any part of the agent."""
        listing = self.cluster.exec(node, ["ctr", "-n", "k8s.io", "images", "ls", "-q"])
        return set(listing.split())

    def leftovers(self, node: str) -> list[str]:
        """Leases and unfinished ingests of the agent on a node."""
        leases = self.cluster.exec(node, ["ctr", "-n", "k8s.io", "leases", "ls", "-q"]).split()
        active = self.cluster.exec(node, ["ctr", "-n", "k8s.io", "content", "active"]).splitlines()[1:]
        return [lease for lease in leases if lease.startswith("limani")] + active


class Trigger:
    """Calls ``action`` once, in a thread of its own, when a node has received a share of a blob."""

    def __init__(self, action: Callable[[], object], at: float, node: str | None = None) -> None:
        self._action, self._at, self._node = action, at, node
        self._thread: threading.Thread | None = None
        self.error: BaseException | None = None

    def __call__(self, node: str, digest: str, received: int, size: int) -> None:
        """The ``on_bytes`` of a run."""
        if self._thread is None and size > MB and received >= self._at * size and self._node in (None, node):
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            self._action()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.error = error

    def done(self) -> None:
        """Wait for the action; fails if it was never called or raised."""
        assert self._thread is not None, "the moment to disturb never came"
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.error:
            raise self.error


@pytest.fixture(scope="session")
def seeder(lab: NativeCluster) -> Iterator[Seeder]:
    """The lab cluster with agents on all nodes."""
    params = {"kubeconfig": str(lab.kubeconfig), "archive": str(build())}
    node_agent(params, check=False, progress=quiet)
    return Seeder(lab)


@pytest.fixture
def archive(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    """An archive of one image of 24 MB nobody has seen yet, and its name."""
    name = f"limani.dev/test/{request.node.originalname.replace('_', '-')[:60]}:1"
    path = tmp_path / "image.tar"
    make_archive(path, name, [(request.node.name, 24 * MB), (request.node.name + "-small", 1000)])
    yield path, name
    path.unlink()


@pytest.fixture
def cleaned(seeder: Seeder, archive: tuple[Path, str]) -> Iterator[Seeder]:
    """The seeder; afterwards the test's image is gone from all nodes and nothing of the run is left."""
    yield seeder
    seeder.remove(archive[1], force=True, min_success=0)
