"""What an agent asks the API server: whose token this is, and what they may do.

Its own small client, because the agent has to stay small and needs nothing else of the API.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from limani.errors import KubeError, KubeUnreachable, Unauthenticated
from limani.wire import AUDIENCE

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT_S = 10.0
ATTEMPTS = 5
PAUSE_S = 0.2
"""Six seconds in all: after a restart the API server is up for a moment before its address inside the cluster is."""
TOKEN_S = 60.0
"""The kubelet renews the account's token file; it is read again after this time."""


@dataclass(frozen=True)
class Identity:
    """Who a token belongs to, as the API server says."""

    user: str
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())


class InCluster:
    """TokenReview and SubjectAccessReview with the pod's own service account."""

    def __init__(self, account: Path = ACCOUNT, server: str = "") -> None:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        self._server = server or f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._account = account
        self._token, self._read_at = "", 0.0
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def identify(self, token: str) -> Identity:
        """authentication.k8s.io/v1 TokenReview. Raises Unauthenticated, KubeError, KubeUnreachable."""
        status = await self._create(
            "authentication.k8s.io", "TokenReview", "tokenreviews", {"token": token, "audiences": [AUDIENCE]}
        )
        if not status.get("authenticated"):
            raise Unauthenticated("The API server does not accept the token for audience 'limani'.")
        if AUDIENCE not in (status.get("audiences") or []):  # an authenticator that ignores audiences
            raise Unauthenticated("The token is not for audience 'limani'.")
        user = status.get("user") or {}
        extra = tuple(sorted((key, tuple(values)) for key, values in (user.get("extra") or {}).items()))
        return Identity(str(user.get("username", "")), tuple(user.get("groups") or ()), extra)

    async def allows(self, who: Identity, *, group: str, resource: str, verb: str, name: str) -> bool:
        """authorization.k8s.io/v1 SubjectAccessReview. Raises KubeError, KubeUnreachable."""
        attributes = {"group": group, "resource": resource, "verb": verb, "name": name}
        spec = {
            "user": who.user,
            "groups": list(who.groups),
            "extra": {key: list(values) for key, values in who.extra},
            "resourceAttributes": attributes,
        }
        status = await self._create("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", spec)
        return bool(status.get("allowed")) and not status.get("denied")

    async def _create(self, group: str, kind: str, plural: str, spec: dict[str, Any]) -> dict[str, Any]:
        body = msgspec.json.encode({"apiVersion": f"{group}/v1", "kind": kind, "spec": spec})
        url = f"{self._server}/apis/{group}/v1/{plural}"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._post(kind, url, body)
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                if attempt == ATTEMPTS:
                    detail = str(error) or type(error).__name__
                    raise KubeUnreachable(f"The agent cannot reach the API server {self._server}: {detail}.") from error
                await asyncio.sleep(PAUSE_S * 2**attempt)  # a restarting API server announces nothing
        raise AssertionError("unreachable")

    async def _post(self, kind: str, url: str, body: bytes) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._own_token()}", "Content-Type": "application/json"}
        async with self._http().post(url, data=body, headers=headers) as answer:
            content = await answer.read()
            if answer.status in (500, 502, 503, 504):
                raise aiohttp.ClientConnectionError(f"HTTP status {answer.status}")
            if answer.status >= 400:
                raise KubeError(
                    f"The API server answered a {kind} of the agent with {answer.status}.",
                    hint="The agent's service account needs the ClusterRole limani-agent (tokenreviews, "
                    "subjectaccessreviews: create).",
                    status=answer.status,
                )
        return dict(msgspec.json.decode(content).get("status") or {})

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if self._server.startswith("https:"):
                context.load_verify_locations(self._account / "ca.crt")
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=16), timeout=timeout, trust_env=False
            )
        return self._session

    def _own_token(self) -> str:
        if time.monotonic() - self._read_at > TOKEN_S or not self._token:
            self._token, self._read_at = (self._account / "token").read_text().strip(), time.monotonic()
        return self._token
