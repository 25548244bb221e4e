"""A real three-node cluster for the integration tests of a run, and which of them run side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from limani.cluster import backend
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.spec import Request

HERE = Path(__file__).parent
SEEDING = ("agent", "collection", "distribution", "images", "seed")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Two groups for ``-n 2 --dist loadgroup``: what seeds the shared cluster, and what makes clusters and daemons."""
    for item in items:
        if item.path.is_relative_to(HERE):
            folder = item.path.relative_to(HERE).parts[0]
            item.add_marker(pytest.mark.xdist_group("seeding" if folder in SEEDING else "making"))


@pytest.fixture(scope="session")
def lab() -> Iterator[NativeCluster]:
    """The cluster: n1, n2, n3. One named by LIMANI_TEST_CLUSTER is used and kept (faster while developing)."""
    native = backend.get("native")
    name = os.environ.get("LIMANI_TEST_CLUSTER")
    if name and name in native.names():
        yield NativeCluster.open(name)
        return
    made = native.create(Request(name=name or f"test-{os.getpid()}"), progress=print)
    try:
        yield NativeCluster.open(made.name)
    finally:
        if not name:
            native.delete(made.name)
