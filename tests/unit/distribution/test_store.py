"""The store in memory passes the conformance suite, so tests that use it mean something."""

import pytest

from tests.unit.distribution.memory_store import MemoryStore
from tests.unit.distribution.store_conformance import StoreConformance


class TestMemoryStore(StoreConformance):
    """The suite over the store in memory."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """A fresh store."""
        return MemoryStore()
