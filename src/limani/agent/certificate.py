"""The agent's TLS key and certificate, made anew at every start.

``make`` runs this module as a child process, because the library that makes keys would stay in the agent's memory.
Nobody checks the name in the certificate: peers pin its fingerprint, which travels over the caller's own channel.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import subprocess
import sys
from dataclasses import dataclass

DAYS = 3650


@dataclass(frozen=True)
class Tls:
    """A server context, and the sha256 (hex) of its certificate in DER."""

    context: ssl.SSLContext
    fingerprint: str


def make(name: str) -> Tls:
    """A new key and certificate for ``name``. They never touch a disk."""
    child = [sys.executable, "-m", "limani.agent.certificate", name]
    pem = subprocess.run(child, check=True, stdout=subprocess.PIPE).stdout.decode()
    certificate = pem[pem.index("-----BEGIN CERTIFICATE") :]
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    memory = os.memfd_create("limani-tls")  # the context only loads from files
    try:
        os.write(memory, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
    return Tls(context, fingerprint)


def main(name: str) -> None:
    """Write key and certificate, in PEM, to standard output."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks of nodes differ
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    sys.stdout.buffer.write(secret + certificate.public_bytes(serialization.Encoding.PEM))


if __name__ == "__main__":
    main(sys.argv[1])
