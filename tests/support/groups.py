"""Tests that share something costly stay in one process of ``pytest -n 2``.

pytest-xdist's own ``--dist loadgroup`` writes the group into a test's name, which this pytest no longer lets it do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdist.scheduler import LoadScopeScheduling


class Groups(LoadScopeScheduling):
    """Give each process whole groups; ``group`` names the group of a test's node id."""

    def __init__(self, config: Any, log: Any, group: Callable[[str], str]) -> None:
        super().__init__(config, log)
        self._group = group

    def _split_scope(self, nodeid: str) -> str:
        return self._group(nodeid)
