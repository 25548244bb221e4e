"""The engines in memory pass the suite the real ones must pass, so tests that use them mean something."""

import pytest

from tests.unit.engine.conformance import EngineConformance
from tests.unit.engine.fake import FakeEngine


class TestFakeEngine(EngineConformance):
    """An engine that keeps blobs and pins, as containerd."""

    @pytest.fixture
    def engine(self) -> FakeEngine:
        """A fresh engine."""
        return FakeEngine()


class TestFakeEngineWithoutBlobs(EngineConformance):
    """An engine that keeps no blobs and cannot pin, as dockerd."""

    @pytest.fixture
    def engine(self) -> FakeEngine:
        """A fresh engine."""
        return FakeEngine(keeps_blobs=False, pins=False)
