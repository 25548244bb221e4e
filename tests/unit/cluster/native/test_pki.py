"""Certificates of a cluster."""

from __future__ import annotations

import base64
import ssl
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from limani.cluster.native import control
from limani.cluster.native.layout import Layout
from limani.cluster.native.pki import Authority, Pair, kubeconfig, signing_key, write_private
from tests.unit.cluster.test_spec import a_spec


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority."""
    return Authority(tmp_path_factory.mktemp("pki"), "ca")


def load(pair: Pair) -> x509.Certificate:
    """The certificate of a pair."""
    return x509.load_pem_x509_certificate(pair.certificate)


def test_an_authority_is_made_once(authority: Authority) -> None:
    """Opening the folder again gives the same authority."""
    assert Authority(authority.folder, "ca").pair == authority.pair


def test_certificates_are_signed_by_the_authority(authority: Authority) -> None:
    """A certificate verifies against its authority and not against another."""
    certificate = load(authority.issue("someone"))
    certificate.verify_directly_issued_by(load(authority.pair))
    other = Authority(authority.folder, "etcd-ca")
    with pytest.raises(ValueError, match="Issuer"):
        certificate.verify_directly_issued_by(load(other.pair))


def test_clients_and_servers(authority: Authority) -> None:
    """Without hosts a certificate serves clients only; with hosts it names them."""
    client = load(authority.issue("system:node:n1", organization="system:nodes"))
    assert client.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    usage = client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    server = load(authority.issue("server", hosts=["n1", "10.0.0.1"]))
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1"]
    assert names.get_values_for_type(x509.IPAddress) == [IPv4Address("10.0.0.1")]


def test_keys_are_private(authority: Authority, tmp_path: Path) -> None:
    """Files with keys are readable by their owner alone, also when they replace one that was not."""
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    signing_key(tmp_path, "accounts")
    before = (tmp_path / "accounts.key").read_bytes()
    signing_key(tmp_path, "accounts")
    assert (tmp_path / "accounts.key").read_bytes() == before


def test_a_kubeconfig_stands_alone(authority: Authority) -> None:
    """Certificates and key are inside, so the file can be copied."""
    pair = authority.issue("admin")
    config = kubeconfig("https://10.0.0.1:6443", authority.pair.certificate, pair, "limani-lab", "admin")
    assert config["current-context"] == "limani-lab"
    user = config["users"][0]["user"]  # type: ignore[index]
    assert base64.b64decode(user["client-key-data"]) == pair.key


def test_every_certificate_of_a_cluster(tmp_path: Path) -> None:
    """All are there, pythons's ssl takes them, etcd has an authority of its own, a second call changes nothing."""
    layout = Layout("lab", tmp_path / "state", tmp_path / "run")
    control.write_certificates(a_spec(), layout)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    for name in ("apiserver", "admin", "n1", "n2", "n3", "proxy", "scheduler", "controller-manager", "dns"):
        context.load_cert_chain(layout.pki / f"{name}.crt", layout.pki / f"{name}.key")
    etcd = load(Pair.read(layout.pki, "etcd-client"))
    etcd.verify_directly_issued_by(load(Pair.read(layout.pki, "etcd-ca")))
    with pytest.raises(ValueError, match="Issuer"):
        load(Pair.read(layout.pki, "n1")).verify_directly_issued_by(load(Pair.read(layout.pki, "etcd-ca")))
    control.write_certificates(a_spec(), layout)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
