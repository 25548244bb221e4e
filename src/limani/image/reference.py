"""Image references: ``[registry/]repository[:tag][@digest]``.

Grammar and normalisation follow the reference package of the CNCF distribution project, which Docker, containerd
and the kubelet use: a name without a registry is one of docker.io, a name of docker.io without a slash is one of
``library/``, and where neither tag nor digest is given the tag is ``latest``. The lengths are those of the OCI
distribution specification v1.1, section "Pulling manifests" (tag: 128; registry and repository together: 255).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

from limani.errors import DigestInvalid, ReferenceInvalid
from limani.image import digest as digests

DOCKER_IO = "docker.io"
MAX_NAME = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}\Z")


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class Reference:
    """A fully qualified reference. At least one of ``tag`` and ``digest`` is set when it came from ``parse``."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse and normalise what a user or a file says; raises ReferenceInvalid naming the part that is wrong."""
        if not isinstance(text, str) or not text:
            raise ReferenceInvalid("The image reference is empty.", reference="")
        name, at, digest = text.partition("@")
        if at:
            try:
                digests.parse(digest)
            except DigestInvalid as error:
                raise _invalid(text, "what follows the @ is not a sha256 digest") from error
        # A colon after the last slash starts the tag; one before it belongs to the registry's port or IPv6 address.
        head, slash, last = name.rpartition("/")
        last, colon, tag = last.partition(":")
        if colon and not _TAG.match(tag):
            raise _invalid(text, "the tag must be 1 to 128 letters, digits, underscores, dots and dashes")
        registry, repository = _split(head + slash + last)
        _check_name(text, registry, repository)
        return cls(registry, repository, tag if colon else None if at else "latest", digest if at else None)

    def __lt__(self, other: Reference) -> bool:
        """References sort as their texts do, whether they have a tag, a digest or both."""
        return str(self) < str(other)

    @property
    def name(self) -> str:
        """Registry and repository, for example ``docker.io/library/nginx``."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        """The canonical full form, which ``parse`` reads back to an equal reference."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")

    def familiar(self) -> str:
        """The shortest form Docker's user interface shows and ``parse`` reads back to an equal reference."""
        full = str(self)
        for prefix in (f"{DOCKER_IO}/library/", f"{DOCKER_IO}/"):
            short = full.removeprefix(prefix)
            # docker.io/localhost/x must keep its registry: shortened it would name another image.
            if short != full and _parses_to(short, self):
                return short
        return full

    def with_tag(self, tag: str) -> Reference:
        """The same repository with another tag and no digest; raises ReferenceInvalid."""
        if not _TAG.match(tag):
            raise _invalid(tag, "the tag must be 1 to 128 letters, digits, underscores, dots and dashes")
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: str) -> Reference:
        """The same repository by digest alone; raises DigestInvalid."""
        return replace(self, tag=None, digest=digests.parse(digest))


def _split(name: str) -> tuple[str, str]:
    """Divide a name into registry and repository the way Docker guesses it.

    A first part that has a dot, a colon or an uppercase letter, or is ``localhost``, is a registry.
    """
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        registry, repository = first, rest
    else:
        registry, repository = DOCKER_IO, name
    if registry == "index.docker.io":
        registry = DOCKER_IO
    if registry == DOCKER_IO and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository


def _check_name(text: str, registry: str, repository: str) -> None:
    if not _REGISTRY.match(registry):
        raise _invalid(text, "the registry is not a host name or address with an optional port")
    if not _REPOSITORY.match(repository):
        why = "the repository must be lowercase letters and digits, separated by dots, dashes, underscores or slashes"
        raise _invalid(text, why)
    if registry == DOCKER_IO and _IDENTIFIER.match(repository.removeprefix("library/")):
        raise _invalid(text, "64 hexadecimal digits are an image ID, not a name")
    if len(registry) + 1 + len(repository) > MAX_NAME:
        raise _invalid(text, f"registry and repository together are longer than {MAX_NAME} characters")


def _parses_to(text: str, wanted: Reference) -> bool:
    try:
        return Reference.parse(text) == wanted
    except ReferenceInvalid:
        return False


def _invalid(text: str, why: str) -> ReferenceInvalid:
    shown = text if len(text) <= 200 else text[:200] + "..."
    return ReferenceInvalid(f"Image reference {shown!r} is not valid: {why}.", reference=shown)
