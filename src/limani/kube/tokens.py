"""Tokens for the agents, minted by the API server (TokenRequest, authentication.k8s.io/v1)."""

from __future__ import annotations

import asyncio
import time

from limani.errors import KubeError
from limani.kube.session import KubeSession
from limani.wire import AUDIENCE

LIFETIME_S = 600
RENEW_BEFORE_S = 120


class TokenSource:
    """Keeps one valid token of a service account with audience ``limani``; safe for many tasks at once.

    The caller needs ``create`` on ``serviceaccounts/token`` of that account; what the token may do is bound to the
    account's roles, so giving somebody the right to mint it is giving them the account's rights on the nodes.
    """

    def __init__(self, session: KubeSession, namespace: str, account: str) -> None:
        self._session = session
        self._path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        self._token, self._renew_at = "", 0.0
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        """A token with at least two minutes left. Raises Forbidden, KubeError."""
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                spec = {"audiences": [AUDIENCE], "expirationSeconds": LIFETIME_S}
                body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
                answer = await self._session.request("POST", self._path, body=body)
                token = answer.get("status", {}).get("token")
                if not token:
                    raise KubeError("The API server answered a TokenRequest without a token.")
                self._token, self._renew_at = str(token), time.monotonic() + LIFETIME_S - RENEW_BEFORE_S
            return self._token
