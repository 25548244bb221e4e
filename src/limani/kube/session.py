"""One session with a Kubernetes API server: credentials, JSON requests, streams, errors.

lightkube reads the kubeconfig and answers for the credentials (certificates, tokens, exec plugins); requests are plain
REST because the few URLs Limani needs are known, so no discovery and no model classes are loaded.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from limani.errors import Forbidden, KubeconfigInvalid, KubeError, KubeUnreachable, LimaniError

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0


def load_config(kubeconfig: str | None = None, context: str | None = None) -> SingleConfig:
    """Find the credentials: ``kubeconfig`` or ``KUBECONFIG`` or ``~/.kube/config``, else those of the pod we run in.

    Raises KubeconfigInvalid naming the file or context that is wrong.
    """
    path = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        if not kubeconfig and not Path(path).expanduser().exists() and "KUBERNETES_SERVICE_HOST" in os.environ:
            config = KubeConfig.from_service_account()
        else:
            config = KubeConfig.from_file(path)
        single = config.get(context)
    except ConfigError as error:
        raise KubeconfigInvalid(f"kubeconfig {path}: {error}.", path=str(path), context=context) from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise KubeconfigInvalid(f"kubeconfig {path} is not a kubeconfig: {error!r}.", path=str(path)) from error
    assert single is not None  # only None when a default of None was passed
    if single.user is None:  # a context without a user is anonymous; lightkube wants an empty one
        single = single._replace(user=User())
    return _with_v1_exec(single)


def _with_v1_exec(single: SingleConfig) -> SingleConfig:
    """Lightkube refuses exec plugins of API v1, whose answer has the same shape as v1beta1's."""
    user = single.user
    if user is None or user.exec is None or not user.exec.apiVersion.endswith("/v1"):
        return single
    plugin = msgspec.structs.replace(user.exec, apiVersion="client.authentication.k8s.io/v1beta1")
    return single._replace(user=msgspec.structs.replace(user, exec=plugin))


class KubeSession:
    """An open connection pool to one API server; use as an async context manager."""

    def __init__(self, config: SingleConfig) -> None:
        timeout = httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, pool=None)
        try:
            params = ConnectionParams(timeout=timeout).httpx_params(config)
        except (ConfigError, OSError, AssertionError, ValueError) as error:
            raise KubeconfigInvalid(f"Credentials of context {config.context_name} are not usable: {error}.") from error
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64)
        self.server = config.cluster.server
        self.http = httpx2.AsyncClient(limits=limits, **params)

    @classmethod
    def open(cls, kubeconfig: str | None = None, context: str | None = None) -> KubeSession:
        """Session for a kubeconfig and context (see ``load_config``); nothing is sent yet."""
        return cls(load_config(kubeconfig, context))

    async def __aenter__(self) -> KubeSession:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Send JSON, get JSON. Raises KubeUnreachable, Forbidden, KubeError (its fields: status, reason)."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": content_type} if content is not None else None
        try:
            answer = await self.http.request(method, path, params=params, content=content, headers=headers)
        except (httpx2.TransportError, ConfigError) as error:
            raise self.unreachable(error) from error
        if answer.status_code >= 400:
            raise status_error(method, path, answer.status_code, answer.content)
        return dict(msgspec.json.decode(answer.content)) if answer.content else {}

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        """GET a JSON object."""
        return await self.request("GET", path, params=params or None)

    async def find(self, path: str) -> dict[str, Any] | None:
        """GET a JSON object, None where there is none."""
        try:
            return await self.request("GET", path)
        except KubeError as error:
            if error.fields.get("status") == 404:
                return None
            raise

    @asynccontextmanager
    async def watch(self, path: str, **params: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Watch a collection: yields an iterator of ``{"type", "object"}`` events; ends when the server ends it."""
        query = {"watch": "1", **params}
        timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)
        try:
            async with self.http.stream("GET", path, params=query, timeout=timeout) as answer:
                if answer.status_code >= 400:
                    raise status_error("GET", path, answer.status_code, await answer.aread())
                yield (msgspec.json.decode(line) async for line in answer.aiter_lines() if line)
        except httpx2.TransportError as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: Exception) -> KubeUnreachable:
        """The error for a connection that could not be made or broke."""
        detail = str(error) or type(error).__name__
        return KubeUnreachable(
            f"The Kubernetes API server {self.server} cannot be reached: {detail}.", server=self.server
        )


def status_error(method: str, path: str, status: int, content: bytes) -> LimaniError:
    """The error for an HTTP status >= 400; the body is usually a Kubernetes ``Status`` object."""
    try:
        document = msgspec.json.decode(content)
        message, reason = str(document.get("message") or ""), str(document.get("reason") or "")
    except (msgspec.DecodeError, AttributeError):
        message, reason = content[:300].decode(errors="replace").strip(), ""
    text = f"{method} {path} was answered with {status}: {message or reason or 'no message'}"
    if status in (401, 403):
        hint = "The credentials of this kubeconfig may not do this; ask the cluster's administrator."
        return Forbidden(text, hint=hint, status=status, reason=reason)
    return KubeError(text, status=status, reason=reason)
