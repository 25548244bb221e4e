"""What probes ask the API server: objects of the lesson's namespace, and requests sent through it into Pods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from limani.kube.session import CONNECT_TIMEOUT_S, KubeSession
from limani.lab.world import World

Object = dict[str, Any]
PREFIX = {"pods": "/api/v1", "services": "/api/v1", "configmaps": "/api/v1", "deployments": "/apis/apps/v1"}
PREFIX |= {"replicasets": "/apis/apps/v1", "endpointslices": "/apis/discovery.k8s.io/v1"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; status 0: no answer, ``body`` says why."""

    status: int
    body: str

    @property
    def ok(self) -> bool:
        """It was answered with 200."""
        return self.status == 200


def path(world: World, kind: str, *names: str, namespace: str | None = None) -> str:
    """The API path of a kind's collection or, with ``names``, of one object and what is below it."""
    below = "".join(f"/{quote(name, safe=':')}" for name in names)
    return f"{PREFIX[kind]}/namespaces/{namespace or world.namespace}/{kind}{below}"


async def find(world: World, kind: str, name: str, *, namespace: str | None = None) -> Object | None:
    """One object of the lesson's namespace, None where there is none."""
    return await (await world.kube()).find(path(world, kind, name, namespace=namespace))


async def objects(world: World, kind: str, labels: Mapping[str, str] | None = None) -> list[Object]:
    """The objects of a kind, those with these labels."""
    query = {"labelSelector": selector(labels)} if labels else {}
    return list((await (await world.kube()).get(path(world, kind), **query)).get("items") or ())


def selector(labels: Mapping[str, str]) -> str:
    """Labels as a selector is written."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


async def read(session: KubeSession, where: str) -> Answer:
    """GET something that is not JSON."""
    try:
        answer = await session.http.get(where)
    except httpx2.TransportError as error:
        raise session.unreachable(error) from error
    return Answer(answer.status_code, answer.text)


async def lines(session: KubeSession, where: str, **query: str) -> AsyncIterator[str]:
    """The lines of an answer as they come; nothing where it is refused (a container that has not started)."""
    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)
    try:
        async with session.http.stream("GET", where, params=query, timeout=timeout) as answer:
            if answer.status_code == 200:
                async for line in answer.aiter_lines():
                    yield line
    except httpx2.TransportError as error:
        raise session.unreachable(error) from error


async def ask_pod(world: World, name: str, port: int, where: str = "/") -> Answer:
    """Send a GET to a port of a Pod, through the API server; it works without a Service and without containerPort."""
    return await read(await world.kube(), path(world, "pods", f"{name}:{port}", "proxy") + where)


async def ask_from_pod(world: World, name: str, url: str, port: int = 8080) -> Answer:
    """Have a Pod of the image client send a GET: the request an application inside the cluster would send.

    Its helper answers with the status line it got and the body, or with a line ``error: ...``.
    """
    answer = await ask_pod(world, name, port, f"/?{urlencode({'url': url})}")
    if not answer.ok:
        return Answer(0, answer.body)
    first, _, body = answer.body.partition("\n")
    words = first.split()
    status = int(words[1]) if len(words) > 1 and words[0].startswith("HTTP/") and words[1].isdigit() else 0
    return Answer(status, body if status else first.removeprefix("error:").strip())


def first_line(text: str) -> str:
    """The first line with something on it, for showing."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
