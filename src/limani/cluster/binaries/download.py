"""Downloading the projects' own releases, each checked against its published sha256.

A mirror serves the same paths below the host's name: ``MIRROR/dl.k8s.io/v1.36.3/bin/linux/amd64/kubelet`` and
``MIRROR/github.com/etcd-io/etcd/releases/download/...``. The checksum comes from the same place as the file, so it
finds damage, not a mirror that lies.
"""

from __future__ import annotations

import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from limani.cluster.binaries.groups import GROUPS, Group, architecture
from limani.errors import BinariesUnavailable, DigestMismatch

_CHUNK = 1 << 20
_CONNECT_S = 4.0
_STALL_S = 60.0
# Where a release's checksum is: beside the file, or in one list for all files.
_CHECKSUM = {"containerd": ".sha256sum", "kubernetes": ".sha256", "cni": ".sha256", "coredns": ".sha256"}
_FAILURES = (urllib.error.URLError, OSError, http.client.HTTPException)


def url(group: Group, version: str, binary: str, mirror: str | None) -> str:
    """Where a binary, or the archive it is in, is found."""
    address = group.releases.format(v=version, arch=architecture(), binary=binary)
    if mirror is None:
        return address
    parts = urlsplit(address)
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}"


def reachable(wanted: dict[str, str], mirror: str | None) -> bool:
    """Whether every project's checksum can be fetched within a few seconds."""

    def one(group: Group) -> bool:
        try:
            _checksum(group, wanted[group.name], next(iter(group.packages)), mirror, _CONNECT_S)
        except (*_FAILURES, BinariesUnavailable):
            return False
        return True

    with ThreadPoolExecutor(len(GROUPS)) as pool:
        return all(pool.map(one, GROUPS))


def download_all(target: Path, wanted: dict[str, str], mirror: str | None, progress: Callable[[str], None]) -> None:
    """Download every binary that ``target`` lacks. Raises :class:`BinariesUnavailable` or :class:`DigestMismatch`."""
    work: list[tuple[Group, str]] = []
    for group in GROUPS:
        lacking = [binary for binary in group.packages if not (target / binary).exists()]
        single = "{binary}" in group.releases
        work += [(group, binary) for binary in (lacking if single else lacking[:1])]
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(_one, target, group, wanted[group.name], binary, mirror, progress) for group, binary in work
        ]
        for job in jobs:
            job.result()


def _one(
    target: Path, group: Group, version: str, binary: str, mirror: str | None, progress: Callable[[str], None]
) -> None:
    address = url(group, version, binary, mirror)
    partial = target / f"{group.name}-{binary.replace('/', '-')}.partial"
    progress(f"Download {address}")
    try:
        expected = _checksum(group, version, binary, mirror, _STALL_S)
        found = _fetch(address, partial)
    except _FAILURES as error:
        partial.unlink(missing_ok=True)
        raise BinariesUnavailable(f"{address} could not be downloaded: {error}.", url=address) from error
    if found != expected:
        partial.unlink()
        raise DigestMismatch(f"{address} has sha256 {found}, its project says {expected}.", url=address)
    if "{binary}" in group.releases:
        partial.chmod(0o755)
        partial.rename(target / binary)
    else:
        _unpack(partial, target, group)
        partial.unlink()


def _fetch(address: str, target: Path) -> str:
    """Stream into a file; returns the sha256 in hexadecimal."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with _open(address, _STALL_S) as answer, target.open("wb") as file:
        while chunk := answer.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _open(address: str, timeout_s: float) -> http.client.HTTPResponse:
    """A GET; redirects and proxies of the environment are followed. ``timeout_s`` is for each wait."""
    if urlsplit(address).scheme not in ("http", "https"):
        raise BinariesUnavailable(f"{address} is not an http or https address.", url=address)
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(address, timeout=timeout_s)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        raise BinariesUnavailable(f"{address} answers {error.code}.", url=address, status=error.code) from error
    return answer


def _checksum(group: Group, version: str, binary: str, mirror: str | None, timeout_s: float) -> str:
    """The published sha256 of what :func:`url` leads to."""
    address = url(group, version, binary, mirror)
    folder, _, name = address.rpartition("/")
    listed = f"{folder}/SHA256SUMS" if group.name not in _CHECKSUM else address + _CHECKSUM[group.name]
    with _open(listed, timeout_s) as answer:
        text = answer.read(_CHUNK).decode("ascii", "replace")
    for line in text.splitlines():
        words = line.split()
        # "HEX", or "HEX  NAME" as sha256sum writes it.
        if words and len(words[0]) == 64 and (len(words) == 1 or words[1].lstrip("*./").rpartition("/")[2] == name):
            return words[0].lower()
    raise BinariesUnavailable(f"{listed} has no sha256 of {name}.", url=listed)


def _unpack(archive: Path, target: Path, group: Group) -> None:
    """Take the group's programs out of an archive, wherever in it they lie."""
    wanted = {Path(binary).name: target / binary for binary in group.packages}
    with tarfile.open(archive) as tar:
        for entry in tar:
            place = wanted.get(Path(entry.name).name)
            if place is None or not entry.isfile():
                continue
            content = tar.extractfile(entry)
            assert content is not None
            place.parent.mkdir(parents=True, exist_ok=True)
            partial = place.with_name(place.name + ".partial")
            with partial.open("wb") as file:
                while chunk := content.read(_CHUNK):
                    file.write(chunk)
            partial.chmod(0o755)
            partial.replace(place)
            del wanted[place.name]
    if wanted:
        raise BinariesUnavailable(f"{archive.name} does not hold {', '.join(wanted)}.")
