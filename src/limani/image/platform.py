"""Platforms (OCI image specification v1.1, image-index.md property ``platform``): names are those of Go."""

from __future__ import annotations

import platform as host_platform
import re
from dataclasses import dataclass

from limani.errors import BadInput

# Spellings of uname, Debian and LLVM for Go's names; the variant stands where the spelling implies one.
_ALIASES: dict[str, tuple[str, str]] = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armv8l": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv6l": ("arm", "v6"),
    "ppc64el": ("ppc64le", ""),
    "mips64el": ("mips64le", ""),
}
# The variant a bare architecture means (containerd and Docker agree on these).
_DEFAULT_VARIANT = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """Where an image runs. ``variant`` is empty for the architecture's usual one."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def of(cls, os: str, architecture: str, variant: str = "") -> Platform:
        """Normalise the three words (``x86_64`` is ``amd64``, ``arm64/v8`` is ``arm64``)."""
        architecture = architecture.lower()
        architecture, implied = _ALIASES.get(architecture, (architecture, ""))
        variant = variant.lower() or implied
        if variant and variant.isdigit():
            variant = f"v{variant}"
        return cls(os.lower(), architecture, "" if _DEFAULT_VARIANT.get(architecture) == variant else variant)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Parse ``os/architecture[/variant]``; raises BadInput."""
        parts = text.split("/") if isinstance(text, str) else []
        if len(parts) not in (2, 3) or not all(_WORD.match(part) for part in parts):
            raise BadInput(
                f"{str(text)[:80]!r} is not a platform.",
                hint="Write os/architecture or os/architecture/variant, for example linux/amd64 or linux/arm/v7.",
                value=str(text)[:80],
            )
        return cls.of(*parts)

    @classmethod
    def host(cls) -> Platform:
        """The platform this process runs on."""
        return cls.of(host_platform.system(), host_platform.machine())

    def __str__(self) -> str:
        """``os/architecture[/variant]``."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def runs(self, image: Platform) -> int | None:
        """How well an image of platform ``image`` runs here: 0 is a perfect match, larger is worse, None is not at all.

        Newer variants run code of older ones (arm v7 runs v6, amd64 v3 runs v2), never the other way round.
        """
        if (self.os, self.architecture) != (image.os, image.architecture):
            return None
        if self.variant == image.variant:
            return 0
        mine, its = self._level(), image._level()
        if mine is None or its is None or its > mine:
            return None
        return mine - its

    def _level(self) -> int | None:
        """The number of the variant (``v7`` is 7), or None where variants have no order."""
        variant = self.variant or _DEFAULT_VARIANT.get(self.architecture, "")
        number = variant.removeprefix("v")
        return int(number) if number.isdecimal() and len(number) < 4 else None
