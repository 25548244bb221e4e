"""Kubeconfigs and error answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from limani.errors import Forbidden, KubeconfigInvalid, KubeError, KubeUnreachable
from limani.kube.session import KubeSession, load_config, status_error

CONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: %s}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


def write(path: Path, user: str = "{token: secret-token}") -> str:
    path.write_text(CONFIG % user)
    return str(path)


@pytest.mark.parametrize(
    ("text", "context"),
    [(None, None), ("", None), ("just text", None), ("[1, 2]", None), ("clusters: 5", None), (CONFIG % "{}", "nope")],
)
def test_bad_kubeconfig_is_one_clear_error(tmp_path: Path, text: str | None, context: str | None) -> None:
    """A missing, empty, odd or incomplete kubeconfig names the file and is bad input."""
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(KubeconfigInvalid, match="kubeconfig"):
        load_config(str(path), context)


def test_exec_plugins_of_version_1_are_accepted(tmp_path: Path) -> None:
    """client.authentication.k8s.io/v1 is what current cloud plugins write."""
    user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: 'true'}}"
    config = load_config(write(tmp_path / "k", user))
    assert config.user is not None
    assert config.user.exec is not None
    assert config.user.exec.apiVersion == "client.authentication.k8s.io/v1beta1"


async def test_unreachable_server_is_named_without_the_token(tmp_path: Path) -> None:
    """The error names the server; the token is nowhere in it."""
    async with KubeSession.open(write(tmp_path / "k")) as session:
        with pytest.raises(KubeUnreachable, match=r"127\.0\.0\.1:1") as caught:
            await session.get("/version")
    assert "secret-token" not in str(caught.value.to_dict())


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(403, b'{"message": "no", "reason": "Forbidden"}', Forbidden), (500, b"<html>", KubeError), (404, b"", KubeError)],
)
def test_status_errors(status: int, body: bytes, kind: type[Exception]) -> None:
    """Any answer, JSON or not, becomes an error with its status."""
    error = status_error("GET", "/x", status, body)
    assert isinstance(error, kind)
    assert error.fields["status"] == status
