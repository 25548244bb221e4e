"""A real registry server (Debian's docker-registry) on loopback, with TLS and credentials where wanted.

``RegistryServer`` is a context manager; the fixtures ``registry`` (TLS, user and password) and ``open_registry``
(plain HTTP, anybody) are there to be imported into a test module or conftest.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from limani.image.manifest import Index, Manifest, parse_document
from limani.image.reference import Reference

BINARY = "docker-registry"
USERNAME = "sailor"
PASSWORD = "salt and harbour"
# bcrypt of the password, the only kind the server takes; cost 4 keeps each request fast.
_HTPASSWD = f"{USERNAME}:$2b$04$QjmsiUGqfnorAdvgUFdrYOYvCDToD0B9I4oMwa050./RGV2jG0Toa\n"
_START_S = 20


class RegistryServer:
    """A docker-registry process with an empty store in a temporary folder, gone on exit."""

    def __init__(self, *, tls: bool = True, auth: bool = True, host: str = "127.0.0.1") -> None:
        self.tls, self.auth, self._host = tls, auth, host
        self.folder = Path(tempfile.mkdtemp(prefix="limani-registry-"))
        self.port = 0
        self.username, self.password = (USERNAME, PASSWORD) if auth else ("", "")
        self.ca_file = self.folder / "ca.pem" if tls else None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if shutil.which(BINARY) is None:
            raise FileNotFoundError(f"{BINARY} is not installed (apt-get install docker-registry)")
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def host(self) -> str:
        """Host and port, as images of this registry are named by."""
        return f"{self._host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{'https' if self.tls else 'http'}://{self.host}"

    def dockerconfigjson(self) -> dict[str, Any]:
        """The credentials as Kubernetes and Docker keep them."""
        return {"auths": {self.host: {"username": self.username, "password": self.password}}}

    def start(self) -> None:
        """Start the server; returns when it listens."""
        if not self.port:
            with socket.socket() as probe:
                probe.bind((self._host, 0))
                self.port = probe.getsockname()[1]
        config = self._config()
        command = [BINARY, "serve", str(config)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        listening = threading.Event()
        threading.Thread(target=self._watch, args=(self._process, listening), daemon=True).start()
        if not listening.wait(_START_S) or self._process.poll() is not None:
            raise RuntimeError(f"{BINARY} did not start: see {self.folder}/log")

    def stop(self) -> None:
        """Stop the server; ``start`` brings it back with its store and its port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stderr:
                self._process.stderr.close()
            self._process = None

    def push(self, archive: Path, reference: str) -> str:
        """Put the only image of an OCI archive there; ``reference`` is repository[:tag]. Returns its digest."""
        name = Reference.parse(f"{self.host}/{reference}")
        with tarfile.open(archive) as tar, self.client() as client:
            index = Index.parse(_member(tar, "index.json"))
            (target,) = index.manifests
            self._push(client, tar, name, target.digest, name.tag or "latest")
        return target.digest

    def client(self) -> httpx2.Client:
        """An HTTP client that trusts the server and knows the password."""
        context = ssl.create_default_context(cafile=str(self.ca_file)) if self.ca_file else None
        auth = (self.username, self.password) if self.auth else None
        return httpx2.Client(base_url=self.url, verify=context or True, auth=auth, trust_env=False, timeout=30)

    def _push(self, client: httpx2.Client, tar: tarfile.TarFile, name: Reference, digest: str, tag: str) -> None:
        raw = _member(tar, f"blobs/sha256/{digest[7:]}")
        document = parse_document(raw)
        if isinstance(document, Manifest):
            for blob in (document.config, *document.layers):
                self._push_blob(client, tar, name, blob.digest)
        else:
            for entry in document.manifests:
                self._push(client, tar, name, entry.digest, entry.digest)
        url = f"/v2/{name.repository}/manifests/{tag}"
        client.put(url, content=raw, headers={"Content-Type": document.media_type}).raise_for_status()

    def _push_blob(self, client: httpx2.Client, tar: tarfile.TarFile, name: Reference, digest: str) -> None:
        if client.head(f"/v2/{name.repository}/blobs/{digest}").status_code == 200:
            return
        start = client.post(f"/v2/{name.repository}/blobs/uploads/").raise_for_status()
        content = tar.extractfile(f"blobs/sha256/{digest[7:]}")
        assert content is not None
        url = httpx2.URL(start.headers["Location"]).copy_merge_params({"digest": digest})
        client.put(url, content=iter(lambda: content.read(1 << 20), b"")).raise_for_status()

    def _config(self) -> Path:
        http: dict[str, Any] = {"addr": self.host}
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "store")}, "delete": {"enabled": True}},
            "http": http,
        }
        if self.ca_file is not None:
            certificate, key = make_certificate(self.folder, self._host)
            http["tls"] = {"certificate": str(certificate), "key": str(key)}
        if self.auth:
            (self.folder / "htpasswd").write_text(_HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "limani", "path": str(self.folder / "htpasswd")}}
        path = self.folder / "config.yml"
        path.write_text(json.dumps(config))  # JSON is YAML
        return path

    def _watch(self, process: subprocess.Popen[str], listening: threading.Event) -> None:
        """Note that the server listens, and keep its log."""
        assert process.stderr is not None
        with (self.folder / "log").open("w") as log, contextlib.suppress(ValueError, OSError):
            for line in process.stderr:
                log.write(line)
                log.flush()
                if "listening on" in line:
                    listening.set()
        listening.set()


def make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Write a CA (ca.pem) and a certificate of it for ``host``; returns the paths of certificate and key."""
    now = datetime.datetime.now(datetime.UTC)

    def build(
        name: str, public: Any, signer: ec.EllipticCurvePrivateKey, issuer: str, authority: bool
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if not authority:
            names = [x509.IPAddress(ipaddress.ip_address(host)), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        else:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(signer, hashes.SHA256())

    if not (folder / "ca.pem").exists():
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = build("limani test CA", ca_key.public_key(), ca_key, "limani test CA", True)
        certificate = build(host, key.public_key(), ca_key, "limani test CA", False)
        pem = serialization.Encoding.PEM
        (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
        (folder / "server.pem").write_bytes(certificate.public_bytes(pem))
        form = serialization.PrivateFormat.TraditionalOpenSSL
        (folder / "server.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return folder / "server.pem", folder / "server.key"


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    content = tar.extractfile(name)
    assert content is not None, name
    return content.read()


@pytest.fixture(scope="session")
def registry() -> Iterator[RegistryServer]:
    """A registry with TLS, a user and a password."""
    with RegistryServer() as server:
        yield server


@pytest.fixture(scope="session")
def open_registry() -> Iterator[RegistryServer]:
    """A registry over plain HTTP for anybody."""
    with RegistryServer(tls=False, auth=False) as server:
        yield server
