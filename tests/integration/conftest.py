"""A real three-node cluster for the integration tests of a run, and which of them run side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from limani.cluster import backend
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.spec import Request
from tests.support.groups import Groups

SEEDING = ("agent", "collection", "distribution", "images", "seed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """Two groups for ``-n 2``: what seeds the shared cluster, and what makes clusters and daemons of its own."""
    return Groups(config, log, lambda nodeid: "seeding" if nodeid.split("/")[2] in SEEDING else "making")


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
