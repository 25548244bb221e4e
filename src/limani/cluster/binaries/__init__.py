"""The cluster's binaries: where they come from and which versions belong together."""

from __future__ import annotations

from limani.cluster.binaries.groups import versions
from limani.cluster.binaries.provide import provide

__all__ = ["provide", "versions"]
