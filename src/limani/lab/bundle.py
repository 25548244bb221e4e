"""The images of the lessons in one file, so that no lesson needs a container registry.

A bundle is an OCI archive (which also has Docker's ``manifest.json``) and beside it a list that ``sha256sum -c`` reads:
the archive's digest, and in comment lines each image's name, digest, image ID and size.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limani.cluster.paths import cache_root
from limani.errors import ArchiveInvalid, BadInput, CommandFailed, DigestMismatch, SourceUnavailable

VARIABLE = "LIMANI_LAB_BUNDLE"
PREFIX = "limani.dev/lab/"
FILE_NAME = "limani-lab.tar"
REPOSITORY = Path(__file__).resolve().parents[3]
"""Where a clone has the program that builds the images; an installed package has nothing there."""


@dataclass(frozen=True)
class BundledImage:
    """An image of the bundle. ``digest``: of its manifest; ``image_id``: of its configuration; ``size`` in bytes."""

    reference: str
    digest: str
    image_id: str
    size: int


@dataclass(frozen=True)
class Bundle:
    """A bundle whose list of images has been read."""

    archive: Path
    images: tuple[BundledImage, ...]

    def image(self, name: str) -> BundledImage:
        """The image of a short name (``web:1``) or a full one. Raises BadInput naming what there is."""
        wanted = full_name(name)
        for image in self.images:
            if image.reference == wanted:
                return image
        known = ", ".join(image.reference.removeprefix(PREFIX) for image in self.images)
        raise BadInput(f"The lab's bundle {self.archive} has no image {name!r}, only {known}.", image=name)

    def part(self, references: Iterable[str]) -> bytes:
        """An archive with only these images, each layer once."""
        wanted = set(references)
        with tarfile.open(self.archive) as source:
            index, docker = _json(source, "index.json"), _json(source, "manifest.json")
            index["manifests"] = [entry for entry in index["manifests"] if _name(entry) in wanted]
            docker = [entry for entry in docker if wanted.intersection(entry["RepoTags"])]
            blobs = {name for entry in docker for name in (entry["Config"], *entry["Layers"])}
            blobs |= {_path(entry["digest"]) for entry in index["manifests"]}
            target = io.BytesIO()
            with tarfile.open(fileobj=target, mode="w") as tar:
                for name, data in (("index.json", index), ("manifest.json", docker)):
                    raw = json.dumps(data).encode()
                    entry = tarfile.TarInfo(name)
                    entry.size = len(raw)
                    tar.addfile(entry, io.BytesIO(raw))
                for member in source:
                    if member.name in blobs or member.name == "oci-layout":
                        tar.addfile(member, source.extractfile(member))
        return target.getvalue()


def full_name(name: str) -> str:
    """``limani.dev/lab/web:1`` for ``web:1``."""
    return name if name.startswith(PREFIX) else PREFIX + name


def find() -> Bundle:
    """The bundle to use: the one LIMANI_LAB_BUNDLE names, that of this clone (built if needed), or the cached one.

    Raises SourceUnavailable saying how to get one, DigestMismatch for a damaged one.
    """
    if named := os.environ.get(VARIABLE):
        path = Path(named).expanduser()
        return verify(path / FILE_NAME if path.is_dir() else path)
    if in_clone():
        return read(_built())
    cached = cache_root() / "lab" / FILE_NAME
    if cached.exists():
        return verify(cached)
    raise SourceUnavailable(
        "The images of the lessons are not on this machine.",
        hint=f"Get the lab's bundle ({FILE_NAME} and {FILE_NAME}.sha256; make lab-bundle in a clone of the repository "
        f"makes it) and name it in {VARIABLE}, or put both files into {cached.parent}.",
    )


def in_clone() -> bool:
    """Whether the program that builds the images is here."""
    return (REPOSITORY / "images/lab/build.py").exists()


def write(target: Path) -> Bundle:
    """Write the bundle ``find`` finds to the file ``target`` and its list beside it. Raises as ``find``."""
    source = find()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    shutil.copyfile(source.archive, part)
    part.replace(target)
    bundle = Bundle(target, source.images)
    list_of(target).write_text(listing(bundle))
    return bundle


def verify(archive: Path) -> Bundle:
    """Read a bundle after comparing every byte of it with its list.

    Raises SourceUnavailable where a file is missing, DigestMismatch where they differ.
    """
    try:
        wanted = list_of(archive).read_text()
        if f"{sha256(archive)}  {archive.name}" not in wanted.splitlines():
            raise _damaged(archive)
    except OSError as error:
        raise SourceUnavailable(
            f"The lab's bundle is not complete: {error.filename}: {error.strerror}.",
            hint=f"A bundle is an archive and beside it its list, {list_of(archive).name}; make lab-bundle makes both.",
        ) from error
    bundle = read(archive)
    if listing(bundle) != wanted:
        raise _damaged(archive)
    return bundle


def read(archive: Path) -> Bundle:
    """The images of an archive the lab's builder wrote. Raises ArchiveInvalid."""
    try:
        with tarfile.open(archive) as tar:
            return Bundle(archive, tuple(_image(tar, entry) for entry in _json(tar, "index.json")["manifests"]))
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise ArchiveInvalid(f"{archive} is not a bundle of the lab: {error}.", path=str(archive)) from error


def listing(bundle: Bundle) -> str:
    """The text of a bundle's list."""
    lines = [f"# {i.reference} {i.digest} {i.image_id} {i.size}" for i in bundle.images]
    return "\n".join([*lines, f"{sha256(bundle.archive)}  {bundle.archive.name}", ""])


def list_of(archive: Path) -> Path:
    """Where the list of an archive is."""
    return archive.with_name(f"{archive.name}.sha256")


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _built() -> Path:
    """The archive of this clone's builder, which keeps what it built."""
    command = [sys.executable, "-m", "images.lab.build"]
    done = subprocess.run(
        command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandFailed(
            f"The images of the lessons could not be built: {done.stderr.strip()[-1500:]}",
            hint=f"Mend what is said above, or name a finished bundle in {VARIABLE}.",
            arguments=command,
            exit_code=done.returncode,
        )
    return Path(done.stdout.strip())


def _damaged(archive: Path) -> DigestMismatch:
    return DigestMismatch(
        f"The lab's bundle {archive} is not what its list {list_of(archive).name} says; it is not used.",
        hint="Copy both files again, or make them anew with make lab-bundle.",
        path=str(archive),
    )


def _image(tar: tarfile.TarFile, entry: dict[str, Any]) -> BundledImage:
    manifest = _json(tar, _path(entry["digest"]))
    size = sum(layer["size"] for layer in manifest["layers"])
    return BundledImage(_name(entry), entry["digest"], manifest["config"]["digest"], size)


def _name(entry: dict[str, Any]) -> str:
    return str(entry["annotations"]["io.containerd.image.name"])


def _path(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _json(tar: tarfile.TarFile, name: str) -> Any:
    content = tar.extractfile(name)
    if content is None:
        raise KeyError(name)
    return json.loads(content.read())
