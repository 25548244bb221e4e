"""Descriptors (OCI image specification v1.1, descriptor.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limani.image.platform import Platform


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What points to a blob: kind, digest and size in bytes (descriptor.md)."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    urls: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The descriptor as a JSON object, properties without a value left out."""
        data: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform:
            data["platform"] = {"architecture": self.platform.architecture, "os": self.platform.os}
            if self.platform.variant:
                data["platform"]["variant"] = self.platform.variant
        if self.annotations:
            data["annotations"] = dict(sorted(self.annotations.items()))
        if self.urls:
            data["urls"] = list(self.urls)
        return data

    @property
    def is_attestation(self) -> bool:
        """Whether this is a statement about an image (BuildKit puts them into indexes), not an image."""
        unknown = self.platform is not None and (self.platform.os, self.platform.architecture) == ("unknown", "unknown")
        return unknown or self.annotations.get("vnd.docker.reference.type") == "attestation-manifest"
