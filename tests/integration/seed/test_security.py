"""Who may do what, asked of a real agent through a real API server; and what a flipped byte between nodes does."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from limani.kube.nodes import list_nodes
from limani.kube.session import KubeSession
from limani.wire import TOKEN_HEADER
from tests.integration.seed.conftest import MB, Seeder, Trigger

pytestmark = pytest.mark.integration

ROUTES = [
    ("GET", "/limani/v1/status"),
    ("GET", "/limani/v1/images"),
    ("POST", "/limani/v1/plan"),
    ("POST", "/limani/v1/seed"),
    ("POST", "/limani/v1/remove"),
    ("POST", "/limani/v1/pin"),
    ("POST", "/limani/v1/grants"),
    ("GET", "/v2/"),
    ("GET", "/v2/limani/blobs/blobs/sha256:" + "0" * 64),
    ("POST", "/v2/limani/blobs/blobs/uploads/"),
    ("PUT", "/v2/docker.io/library/x/manifests/latest"),
    ("DELETE", "/v2/docker.io/library/x/manifests/latest"),
    ("GET", "/metrics"),
]
CHANGES = [(method, path) for method, path in ROUTES if method != "GET" and not path.endswith("/plan")]


async def token(session: KubeSession, account: str, audience: str = "limani", namespace: str = "limani-system") -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    answer = await session.request("POST", path, body={"spec": {"audiences": [audience]}})
    return str(answer["status"]["token"])


def forged(seeder: Seeder, claims: dict[str, Any]) -> str:
    """A token signed with the cluster's own key, with any claims."""
    key = serialization.load_pem_private_key((seeder.cluster.layout.pki / "service-accounts.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def expired(valid: str, seeder: Seeder) -> str:
    """The same claims as a valid token, but its time has passed."""
    body = valid.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    now = int(time.time())
    return forged(seeder, claims | {"iat": now - 7200, "nbf": now - 7200, "exp": now - 3600})


async def ask(session: KubeSession, method: str, path: str, header: str | None) -> int:
    node = (await list_nodes(session, "limani-system"))[0]
    headers = {TOKEN_HEADER: header} if header is not None else {}
    answer = await session.http.request(method, node.proxy_path() + path, headers=headers, content=b"{}")
    return int(answer.status_code)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nobody_gets_in_without_a_valid_token(seeder: Seeder, method: str, path: str) -> None:
    """No token, rubbish, a wrong audience, an expired one, one of another key: 401 on every route."""
    async with KubeSession.open(seeder.kubeconfig) as session:
        good = await token(session, "limani-operator")
        claims = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
        assert await ask(session, "GET", "/limani/v1/status", f"Bearer {forged(seeder, claims)}") == 200, (
            "so it is the time"
        )
        other_audience = await token(session, "limani-operator", "https://kubernetes.default.svc")
        for header in (None, "", "Bearer", "Bearer x", f"Basic {good}", f"Bearer {other_audience}",
                       f"Bearer {expired(good, seeder)}", f"Bearer {good[:-4]}AAAA"):  # fmt: skip
            assert await ask(session, method, path, header) == 401, header


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_known_caller_without_permission_is_refused(seeder: Seeder, method: str, path: str) -> None:
    """A valid token of an account without roles gets 403 on every route."""
    async with KubeSession.open(seeder.kubeconfig) as session:
        nobody = await token(session, "default", namespace="default")
        assert await ask(session, method, path, f"Bearer {nobody}") == 403


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_the_viewer_cannot_change_anything(seeder: Seeder, method: str, path: str) -> None:
    """The viewer's token gets 403 wherever something would change."""
    async with KubeSession.open(seeder.kubeconfig) as session:
        viewer = await token(session, "limani-viewer")
        assert await ask(session, method, path, f"Bearer {viewer}") == 403
        assert await ask(session, "GET", "/limani/v1/status", f"Bearer {viewer}") == 200


def test_no_token_is_ever_written_down(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """No log line of an agent has anything that looks like a token."""
    cleaned.put(archive[0])
    for node in ("n1", "n2", "n3"):
        logs = cleaned.cluster.exec(node, ["sh", "-c", "cat /var/log/pods/limani-system_*/*/*.log"])
        assert "eyJ" not in logs
        assert '"verb"' in logs, "the log does say who did what"


def test_flipped_bytes_between_two_nodes(cleaned: Seeder, archive: tuple[Path, str]) -> None:
    """Bytes changed on the way from one node to the next are refused there; every node ends with the right image."""
    path, name = archive
    rules = """
        table ip flip {
          chain way {
            type filter hook forward priority 0;
            iifname "eth0" tcp sport 7443 meta length > 1400 @ih,8000,8 set 0x5a counter
          }
        }
    """

    def flip() -> None:
        cleaned.cluster.exec("n2", ["nft", "-f", "-"], stdin=rules)

    trigger = Trigger(flip, 0.3, "n2")
    try:
        result = cleaned.put(path, rate=8 * MB, on_bytes=trigger)
        trigger.done()
        counted = cleaned.cluster.exec("n2", ["nft", "list", "table", "ip", "flip"])
    finally:
        cleaned.cluster.exec("n2", ["nft", "delete", "table", "ip", "flip"])
    assert "packets 0 " not in counted, "no packet was damaged, so nothing was shown"
    assert "upload" in result["nodes"]["n2"]["source"]
    for node in ("n1", "n2", "n3"):
        assert name in cleaned.names(node)
        cleaned.cluster.exec(node, ["ctr", "-n", "k8s.io", "images", "check", f"name=={name}"])
