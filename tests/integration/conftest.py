"""A real three-node cluster for all integration tests of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from limani.cluster import backend
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.spec import Request


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
