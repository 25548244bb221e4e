"""Libraries of the site and of its tests that come from npm: of one version, checked, kept in a cache.

``npm pack`` fetches the archive (so it honours the user's registry and proxy); its hash must be the pinned one. To move
to another version: ``npm view PACKAGE@VERSION dist.integrity``.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A package with the hash npm publishes for that version."""

    name: str
    version: str
    integrity: str


MERMAID = Package(
    "mermaid",
    "11.17.2",
    "sha512-V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleBBg==",
)
AXE = Package(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)


class NotToBeHad(Exception):
    """A package is not in the cache and npm did not bring it, or brought something else."""


def cache() -> Path:
    """Where archives are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "limani" / "npm"


def file(package: Package, member: str) -> bytes:
    """One file of a package, for example ``dist/mermaid.min.js``."""
    with tarfile.open(archive(package)) as tar:
        found = tar.extractfile(f"package/{member}")
        assert found is not None, f"{package.name} {package.version} has no file {member}"
        return found.read()


def archive(package: Package) -> Path:
    """The package's archive, from the cache or from npm; its hash has been compared."""
    kept = cache() / f"{package.name.replace('/', '-').lstrip('@')}-{package.version}.tgz"
    if kept.exists() and integrity(kept) == package.integrity:
        return kept
    if not shutil.which("npm"):
        raise NotToBeHad(
            f"{package.name} {package.version} is needed, and npm to fetch it is missing. "
            "Install npm (on Debian and Ubuntu: sudo apt-get install npm), then run again."
        )
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, f"{package.name}@{package.version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        got = next(Path(folder).glob("*.tgz"), None)
        if done.returncode or got is None:
            raise NotToBeHad(f"npm could not fetch {package.name} {package.version}:\n{done.stderr.strip()}")
        if integrity(got) != package.integrity:
            raise NotToBeHad(f"{package.name} {package.version} from npm is not the one expected: {integrity(got)}")
        got.replace(kept)
    return kept


def integrity(path: Path) -> str:
    """A file's hash the way npm writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
