"""Credentials for registries: dockerconfigjson, and the challenges registries answer with.

dockerconfigjson is the file ``docker login`` writes and the content of Kubernetes secrets of type
``kubernetes.io/dockerconfigjson``. Challenges: RFC 9110, section 11, and distribution's "Token Authentication
Specification". No secret ever gets into a message or a representation.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limani.errors import BadInput
from limani.image.reference import DOCKER_IO

DOCKER_HOST = "registry-1.docker.io"
"""The host that serves what is named docker.io."""

_DOCKER_NAMES = frozenset({DOCKER_IO, "index.docker.io", DOCKER_HOST})
_CHALLENGE = re.compile(r"\s*(?:,\s*)*([A-Za-z][\w-]*)(?:\s+(?=[\w-]+\s*=)|\s*(?=,|\Z))")
_PARAMETER = re.compile(r'\s*,?\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Credentials:
    """Who one is to a registry. ``identity_token``: an OAuth2 refresh token, used in place of the password."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Challenge:
    """One challenge of a WWW-Authenticate header; names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def find_credentials(documents: Sequence[Mapping[str, Any]], registry: str, repository: str) -> Credentials | None:
    """The credentials dockerconfigjson documents hold for a repository, None where there are none.

    The first document that has some wins. Within one, an entry for a path (``r.example/team``) goes before one for
    the host, and that before a pattern (``*.example``), as the kubelet does it. Raises BadInput.
    """
    for document in documents:
        auths = document.get("auths")
        if auths is None:
            continue
        if not isinstance(auths, Mapping):
            raise BadInput("The registry credentials have an 'auths' that is not an object.")
        best = max(((_fit(str(key), registry, repository), str(key)) for key in auths), default=((0, 0), ""))
        if best[0] > (0, 0):
            found = _credentials(auths[best[1]], best[1])
            if found:
                return found
    return None


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """The challenges of WWW-Authenticate headers, in order; what cannot be read ends the list."""
    found: list[Challenge] = []
    for text in headers:
        at = 0
        while match := _CHALLENGE.match(text, at):
            at = match.end()
            parameters: dict[str, str] = {}
            while parameter := _PARAMETER.match(text, at):
                value = parameter[2] if parameter[2] is not None else parameter[3]
                parameters[parameter[1].lower()] = re.sub(r"\\(.)", r"\1", value)
                at = parameter.end()
            found.append(Challenge(match[1].lower(), parameters))
    return found


def _fit(key: str, registry: str, repository: str) -> tuple[int, int]:
    """How well an entry of ``auths`` fits, (0, 0) for not at all."""
    key = re.sub(r"^https?://", "", key).rstrip("/")
    key = re.sub(r"/v[12]$", "", key)
    host, _, path = key.partition("/")
    aliases = _DOCKER_NAMES if registry in _DOCKER_NAMES else {registry}
    exact = host in aliases
    # A * stands for one label of a host name, never for a dot.
    pattern = "*" in host and host.count(".") == registry.count(".") and fnmatch.fnmatchcase(registry, host)
    if not exact and not pattern:
        return (0, 0)
    if path and f"{repository}/".startswith(f"{path}/"):
        return (2 if pattern else 4, len(path))
    if path:
        return (0, 0)
    return (1 if pattern else 3, 0)


def _credentials(entry: Any, key: str) -> Credentials | None:
    if not isinstance(entry, Mapping) or not all(isinstance(value, str) for value in entry.values()):
        raise BadInput(f"The registry credentials for {key[:200]!r} are not an object of texts.")
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(entry["auth"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            decoded = ""
        username, colon, password = decoded.partition(":")
        if not colon:
            # The cause is left out: it would quote the secret.
            raise BadInput(
                f"'auth' of the registry credentials for {key[:200]!r} is not base64 of user:password."
            ) from None
    token, registry_token = entry.get("identitytoken", ""), entry.get("registrytoken", "")
    if not (username or token or registry_token):
        return None
    return Credentials(username, password.rstrip("\0"), token, registry_token)
