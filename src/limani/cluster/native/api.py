"""The few calls to the cluster's own API server that bringing it up needs (standard library only: it loads at once)."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from limani.errors import KubeError, KubeUnreachable, TimedOut

Document = dict[str, Any]


class Api:
    """A client with a client certificate. One connection a call: the calls are few."""

    def __init__(self, server: str, pki: Path) -> None:
        parts = urlsplit(server)
        self.host, self.port, self.server = str(parts.hostname), int(parts.port or 443), server
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def call(self, method: str, path: str, body: Document | None = None, *, timeout_s: float = 10) -> Document:
        """One JSON call. Raises :class:`KubeUnreachable`, or :class:`KubeError` with ``fields['status']``."""
        status, text = self._exchange(method, path, body, timeout_s)
        if status >= 400:
            raise KubeError(f"{method} {path}: {status} {text[:500]}", status=status, path=path)
        return dict(json.loads(text))

    def apply(self, path: str, document: Document) -> None:
        """Server-side apply, owner ``limani`` (kubernetes.io/docs/reference/using-api/server-side-apply)."""
        self.call("PATCH", f"{path}?fieldManager=limani&force=true", document)

    def ready(self) -> bool:
        """Whether ``/readyz`` says ok."""
        try:
            return self._exchange("GET", "/readyz", None, 2)[0] == 200
        except KubeUnreachable:
            return False

    def await_ready(self, deadline: float) -> None:
        """Wait until ``/readyz`` says ok. Before the server listens there is no event to wait for, so it is asked."""
        pause = 0.05
        while not self.ready():
            if time.monotonic() > deadline:
                raise TimedOut(f"The API server at {self.server} did not become ready in time.", server=self.server)
            time.sleep(pause)
            pause = min(pause * 1.3, 0.5)

    def watch(self, path: str, deadline: float) -> Iterator[Document]:
        """Events of a watch that begins with what there is, until the deadline (``time.monotonic()``).

        Opened again when the server ends it. Raises :class:`TimedOut` at the deadline.
        """
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(f"What was watched for at {path} did not happen in time.", path=path)
            connection = self._connection(left)
            try:
                connection.request("GET", f"{path}?watch=true")
                for line in connection.getresponse():
                    yield json.loads(line)
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
            finally:
                connection.close()

    def _exchange(self, method: str, path: str, body: Document | None, timeout_s: float) -> tuple[int, str]:
        connection = self._connection(timeout_s)
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": kind} if data else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise KubeUnreachable(f"The API server at {self.server} does not answer: {error}.") from error
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self._context)
