"""Who may do what: every route, every way to be refused."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from limani import wire
from limani.agent.app import Guarded
from limani.agent.auth import CREATE, GET, Action, Guard, Kubernetes, TokenFile
from limani.errors import Forbidden, KubeUnreachable, LimaniError, Unauthenticated
from limani.kube import incluster
from limani.kube.incluster import Identity, InCluster
from tests.unit.agent.harness import HEADERS, Agent, token_file
from tests.unit.engine.samples import sample

OPEN = {"/healthz", "/readyz"}


def guarded(app: web.Application) -> Iterator[tuple[str, str, Guarded]]:
    """Every route of the live router with its guard."""
    for route in app.router.routes():
        handler = getattr(route.handler, "__self__", None)
        assert isinstance(handler, Guarded), f"{route} is not guarded"
        assert route.resource is not None
        yield route.method, route.resource.canonical, handler


def concrete(path: str) -> str:
    """A path the route matches."""
    values = {"name": "limani/blobs", "digest": "sha256:" + "0" * 64, "upload": "x", "reference": "1"}
    for key, value in values.items():
        path = path.replace(f"{{{key}}}", value)
    return path


async def test_every_route_has_an_action(agent: Agent) -> None:
    """All routes but health and readiness name what the caller must be allowed to do."""
    table = list(guarded(agent.app))
    assert {path for _, path, handler in table if handler.action is None} == OPEN
    assert len(table) > 20


async def test_only_blobs_are_read_with_a_grant(agent: Agent) -> None:
    """A grant opens GET and HEAD of blobs and nothing else."""
    grantable = {(method, path) for method, path, handler in guarded(agent.app) if handler.grantable}
    assert grantable == {("GET", "/v2/{name}/blobs/{digest}"), ("HEAD", "/v2/{name}/blobs/{digest}")}


async def test_reading_never_needs_more_than_get(agent: Agent) -> None:
    """What is asked with GET or HEAD changes nothing, so it needs ``get`` or, for a caller's own upload, ``create``."""
    for method, path, handler in guarded(agent.app):
        if method in ("GET", "HEAD") and handler.action:
            assert handler.action.verb == ("create" if "uploads" in path else "get"), path


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {wire.TOKEN_HEADER: "Bearer wrong"},
        {wire.TOKEN_HEADER: "secret"},
        {wire.TOKEN_HEADER: "Bearer "},
        {wire.TOKEN_HEADER: "Bearer " + "x" * 7_000},
        {"Authorization": "Basic " + base64.b64encode(b"user:wrong").decode()},
        {"Authorization": "Basic !"},
        {wire.GRANT_HEADER: "made-up"},
    ],
    ids=["none", "wrong", "no-scheme", "empty", "long", "basic-wrong", "basic-broken", "grant"],
)
async def test_without_a_valid_token(agent: Agent, headers: dict[str, str]) -> None:
    """Nobody gets past any route without a token: 401, a code, and the runtime is not asked a thing."""
    agent.engine.calls.clear()
    for method, path, handler in guarded(agent.app):
        if handler.action is not None:
            async with agent.request(method, concrete(path), headers=headers, data=b"{}") as response:
                assert response.status == 401, (method, path)
                if method != "HEAD":
                    body = json.loads(await response.read())
                    document = body["errors"][0]["detail"] if path.startswith("/v2/") else body["error"]
                    assert document["code"] == "unauthenticated"
    assert agent.engine.calls == []


async def test_without_permission(agent: Agent) -> None:
    """Who may only look gets 403 from every route that changes something, and the runtime is not asked a thing."""
    viewer = {wire.TOKEN_HEADER: "Bearer viewer"}
    agent.engine.calls.clear()
    refused = 0
    for method, path, handler in guarded(agent.app):
        if handler.action is not None and handler.action.verb != "get":
            async with agent.request(method, concrete(path), headers=viewer, data=b"{}") as response:
                assert response.status == 403, (method, path)
            refused += 1
    assert refused > 8
    assert agent.engine.calls == []
    async with agent.request("GET", "/limani/v1/images", headers=viewer) as response:
        assert response.status == 200


async def test_ways_to_bring_a_token(agent: Agent) -> None:
    """The token is taken from our header, as a bearer, or as the password of a basic login; ours comes first."""
    basic = "Basic " + base64.b64encode(b"anybody:secret").decode()
    for headers in (HEADERS, {"Authorization": "Bearer secret"}, {"Authorization": basic}):
        async with agent.request("GET", "/v2/", headers=headers) as response:
            assert response.status == 200
    mixed = {wire.TOKEN_HEADER: "Bearer wrong", "Authorization": "Bearer secret"}
    async with agent.request("GET", "/v2/", headers=mixed) as response:
        assert response.status == 401


async def test_grant_names_its_blobs(agent: Agent) -> None:
    """A grant reads the blobs it names, and no other."""
    image, other = sample("demo/a:1"), sample("demo/b:1")
    for item in (image, other):
        async with agent.seeding([item.spec]) as seeding:
            await seeding.serve(item.blobs)
    peer = await agent.peer(image.spec)
    headers = {wire.GRANT_HEADER: peer.grant}
    for digest, status in [*((digest, 200) for digest in image.blobs), *((digest, 401) for digest in other.blobs)]:
        async with agent.request("GET", f"/v2/{wire.BLOB_REPOSITORY}/blobs/{digest}", headers=headers) as response:
            assert response.status == status
            await response.read()


async def test_token_file(tmp_path: Path) -> None:
    """The file is read again when it changes; one that others may read is not used."""
    tokens = token_file(tmp_path)
    assert (await tokens.identify("secret")).user == "tester"
    viewer = await tokens.identify("viewer")
    assert await tokens.allows(viewer, GET)
    assert not await tokens.allows(viewer, CREATE)
    path = tmp_path / "tokens"
    path.write_text("# comment\nother tester\n")
    with pytest.raises(Unauthenticated):
        await tokens.identify("secret")
    assert (await tokens.identify("other")).user == "tester"
    path.write_text("another tester\n")
    path.chmod(0o644)
    with pytest.raises(LimaniError, match="others"):
        await tokens.identify("another")
    with pytest.raises(LimaniError, match="cannot be read"):
        await TokenFile(tmp_path / "none").identify("x")


class Counting:
    """An authority that counts questions."""

    def __init__(self, *, allowed: bool = True) -> None:
        self.asked: list[str] = []
        self.allowed = allowed

    async def identify(self, token: str) -> Identity:
        self.asked.append("who")
        if token == "bad":
            raise Unauthenticated("Bad.")
        return Identity(token)

    async def allows(self, who: Identity, action: Action) -> bool:
        self.asked.append(action.verb)
        return self.allowed

    async def close(self) -> None:
        pass


async def test_verdicts_are_remembered_for_seconds() -> None:
    """The same question is asked once; another action, another caller are questions of their own."""
    authority = Counting()
    verdicts: list[str] = []
    guard = Guard(authority, "n1", verdicts.append)
    for _ in range(3):
        await guard.check("Bearer a", GET)
    assert authority.asked == ["who", "get"]
    await guard.check("Bearer a", CREATE)
    await guard.check("Bearer b", GET)
    assert authority.asked == ["who", "get", "create", "who", "get"]
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await guard.check("Bearer bad", GET)
    assert authority.asked.count("who") == 3
    assert verdicts == ["allowed"] * 5 + ["unauthenticated"] * 2


async def test_refusals_say_what_is_missing() -> None:
    """Who is refused learns which permission to ask for."""
    guard = Guard(Counting(allowed=False), "n1")
    with pytest.raises(Forbidden, match=r"ann may not create nodeimages.limani.dev of node n1"):
        await guard.check("Bearer ann", CREATE)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[tuple[InCluster, list[dict[str, object]], dict[str, object]]]:
    """A client of an API server that answers as told, and what it was asked."""
    asked: list[dict[str, object]] = []
    answers: dict[str, object] = {}

    async def answer(request: web.Request) -> web.Response:
        asked.append({"path": request.path, "authorization": request.headers["Authorization"], **await request.json()})
        told = answers[request.path.rsplit("/", 1)[-1]]
        return web.Response(status=told) if isinstance(told, int) else web.json_response({"status": told})

    app = web.Application()
    app.router.add_post("/apis/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "token").write_text("the agent's own\n")
    client = InCluster(tmp_path, f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield client, asked, answers
    await client.close()
    await runner.cleanup()


Api = tuple[InCluster, list[dict[str, object]], dict[str, object]]


async def test_token_review(api: Api) -> None:
    """The API server is asked about the token for our audience, and its answer about the audience is heeded."""
    client, asked, answers = api
    user = {"username": "ann", "groups": ["g"], "extra": {"k": ["v"]}}
    answers["tokenreviews"] = {"authenticated": True, "audiences": ["limani"], "user": user}
    assert await client.identify("t") == Identity("ann", ("g",), (("k", ("v",)),))
    assert asked[0]["spec"] == {"token": "t", "audiences": ["limani"]}
    assert asked[0]["authorization"] == "Bearer the agent's own"
    for refusal in ({"authenticated": False}, {}, {"authenticated": True, "audiences": ["other"], "user": user}):
        answers["tokenreviews"] = refusal
        with pytest.raises(Unauthenticated):
            await client.identify("t")


async def test_access_review(api: Api) -> None:
    """The API server is asked for group, resource, verb and node; only a plain yes is one."""
    client, asked, answers = api
    authority = Kubernetes("n7", client)
    who = Identity("ann", ("g",), (("k", ("v",)),))
    for status, expected in (({"allowed": True}, True), ({"allowed": False}, False), ({}, False)):
        answers["subjectaccessreviews"] = status
        assert await authority.allows(who, CREATE) is expected
    answers["subjectaccessreviews"] = {"allowed": True, "denied": True}
    assert not await authority.allows(who, CREATE)
    assert asked[0]["spec"] == {
        "user": "ann",
        "groups": ["g"],
        "extra": {"k": ["v"]},
        "resourceAttributes": {"group": "limani.dev", "resource": "nodeimages", "verb": "create", "name": "n7"},
    }


async def test_api_server_that_is_away(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server that fails is asked again a few times; then the caller hears that it cannot be reached."""
    client, asked, answers = api
    monkeypatch.setattr(incluster, "PAUSE_S", 0.001)
    answers["tokenreviews"] = 503
    with pytest.raises(KubeUnreachable):
        await client.identify("t")
    assert len(asked) == incluster.ATTEMPTS
